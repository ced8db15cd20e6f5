from pinstripe import BackgroundJob


class OperationFailed(Exception):
    pass


class RiskyOperation(BackgroundJob):
    """Do what goes wrong."""

    async def run(self) -> None:
        raise OperationFailed("it went wrong")
