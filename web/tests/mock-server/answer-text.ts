export const ANSWER = `消息队列像一家餐厅的**出单口**：服务员把订单夹上去就走，厨师有空时按顺序取。**两边都不用等对方。**

## How it works

1. The producer writes a message and goes on with its work.
2. The queue stores it *durably*, so a crash loses nothing.
3. A consumer takes it, works, and acknowledges.

> A message that is not acknowledged is delivered again.

Here is the smallest useful version in Python:

\`\`\`python
import asyncio
from collections import Counter

async def worker(queue: asyncio.Queue[str], seen: Counter[str]) -> None:
    """Takes messages until it is cancelled."""
    while True:
        message = await queue.get()
        seen[message] += 1  # the work itself
        queue.task_done()
\`\`\`

| Property | In memory | On disk |
| --- | --- | --- |
| Survives a restart | no | yes |
| Typical latency | 10 µs | 1 ms |
| Price per message | none | one write |

- Use \`asyncio.Queue\` inside one process.
- Use a [real broker](https://nats.io) between processes.
  - It keeps messages while a consumer is away.
  - It spreads them over many consumers.

需要我再讲讲“至少一次”和“恰好一次”的区别吗？
`;
