-- The application's tables. Every table with a tenant_id belongs to tenants row by row; plans and tenants are shared.

create table plans (
    name text primary key,
    monthly_price integer not null  -- in cents
) strict, without rowid;

create table tenants (
    id text primary key,
    name text not null,
    plan text not null references plans (name),
    active integer not null check (active in (0, 1)),
    time_zone text not null,
    owner_email text not null
) strict, without rowid;

create table users (
    id integer primary key,
    tenant_id text not null references tenants (id),
    name text not null,
    email text not null,
    subscribed integer not null check (subscribed in (0, 1)),
    joined_at text not null
) strict;
create index users_of_tenant on users (tenant_id);

create table issues (
    id integer primary key,
    tenant_id text not null references tenants (id),
    segment text not null,
    number integer not null,
    subject text not null,
    published_at text not null,
    unique (tenant_id, segment, number)
) strict;

create table articles (
    id integer primary key,
    tenant_id text not null references tenants (id),
    issue_id integer not null references issues (id),
    headline text not null,
    body text not null
) strict;
create index articles_of_issue on articles (tenant_id, issue_id);

-- Who has been sent which issue: what makes sending it again safe.
create table deliveries (
    tenant_id text not null references tenants (id),
    issue_id integer not null references issues (id),
    user_id integer not null references users (id),
    sent_at text not null,
    primary key (tenant_id, issue_id, user_id)
) strict, without rowid;

create table sessions (
    id integer primary key,
    tenant_id text not null references tenants (id),
    user_id integer not null references users (id),
    last_accessed_at text not null
) strict;
create index sessions_of_tenant on sessions (tenant_id, last_accessed_at);
