"""Words for the seeded content: places and trades for tenants, names for people, pieces for newsletters."""

from __future__ import annotations

PLACES = (
    "Alder", "Brook", "Castle", "Dale", "Elm", "Fern", "Garden", "Harbour", "Island", "Juniper",
    "King's", "Lake", "Mill", "North", "Orchard", "Park", "Quay", "River", "Station", "Tower",
)  # fmt: skip

TRADES = {
    "Bakery": ("sourdough", "the new oven", "rye"),
    "Books": ("short stories", "the reading room", "first editions"),
    "Brewery": ("the autumn ale", "the tap room", "hops"),
    "Choir": ("the winter concert", "the altos", "Purcell"),
    "Cycling": ("the coast ride", "winter tyres", "the Sunday group"),
    "Film Club": ("the silent season", "the projector", "matinees"),
    "Gallery": ("the print show", "open studios", "watercolours"),
    "Gardens": ("bare-root trees", "the greenhouse", "tulip bulbs"),
    "Pottery": ("the wood kiln", "beginners' wheels", "celadon"),
    "Robotics": ("the line follower", "the workshop", "servo motors"),
    "Sailing": ("the laying-up supper", "the dinghy park", "knots"),
    "Teahouse": ("first flush", "the tasting table", "oolong"),
}

FIRST_NAMES = (
    "Ada", "Amélie", "Anna", "Beatriz", "Björn", "Chidi", "Clara", "Daniel", "Diego", "Elif", "Emeka", "Fatima",
    "Felix", "Grace", "Hana", "Henrik", "Ines", "Ivan", "Jonas", "Julia", "Kavya", "Kenji", "Leila", "Liam", "Mara",
    "Mateo", "Mina", "Nadia", "Noah", "Olu", "Oskar", "Priya", "Quentin", "Rosa", "Ruth", "Sami", "Sofia", "Tariq",
    "Thea", "Tomás", "Uma", "Viktor", "Wanda", "Xin", "Yara", "Yusuf", "Zoë", "Zuzana",
)  # fmt: skip

LAST_NAMES = (
    "Abbott", "Adeyemi", "Andersen", "Bauer", "Bello", "Carter", "Costa", "Demir", "Dubois", "Eriksen", "Farrell",
    "Ferrari", "García", "Haddad", "Hughes", "Ito", "Jansen", "Kaya", "Keller", "Kowalska", "Lindqvist", "Lopes",
    "Meyer", "Mwangi", "Nakamura", "Novák", "O'Brien", "Okafor", "Patel", "Petrov", "Quinn", "Rossi", "Sato", "Schmidt",
    "Silva", "Svoboda", "Tanaka", "Taylor", "Ueda", "Varga", "Virtanen", "Walsh", "Weber", "Yilmaz", "Zhang",
    "Zielinski",
)  # fmt: skip

TIME_ZONES = (
    "Africa/Lagos", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe",
    "Europe/Berlin", "Europe/Lisbon", "Europe/London", "Pacific/Auckland",
)  # fmt: skip

PLANS = {"free": 0, "pro": 2_900, "business": 9_900}
"""The plans, with their monthly prices in cents."""

SEGMENTS = {"weekly": "This week", "monthly": "This month"}
"""The newsletters that a tenant has, with how their subjects begin."""

HEADLINES = (
    "Everything about {topic}",
    "What we learnt from {topic}",
    "A word on {topic}",
    "{topic}: questions and answers",
    "Behind the scenes: {topic}",
)

SENTENCES = (
    "Thank you to everybody who came along last time; the room was full and the kettle never stopped.",
    "We have been asked so often about {topic} that we decided to write it all down.",
    "It started small, as these things do, and it is now what most of you write to us about.",
    "If you want to help, reply to this message: no experience is needed, only an hour of your time.",
    "Places are few, so tell us soon whether you are coming and whom you bring with you.",
    "There will be more about {topic} in the next issue, with photographs this time.",
    "The doors are open from ten, and on Thursdays until late in the evening.",
    "Somebody left a green umbrella; it is behind the counter and would like to go home.",
)
