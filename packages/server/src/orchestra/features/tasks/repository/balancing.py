"""SQL of how queues choose among their agents."""

from orchestra.features.tasks.types import Balancing, QueueName
from orchestra.foundation.database import Transaction


async def strategies(tx: Transaction) -> dict[QueueName, Balancing]:
    """Of the queues for which somebody has chosen one."""
    rows = await tx.fetch("SELECT name, balancing FROM queues WHERE balancing IS NOT NULL")
    known = {strategy.value for strategy in Balancing}
    return {
        QueueName(row["name"]): Balancing(row["balancing"])
        for row in rows
        if row["balancing"] in known
    }
