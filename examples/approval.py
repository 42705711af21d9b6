"""Approval before an effect: a payment that a person has seen, and that is made once.

While the person thinks, the task has no slot and no process: the agent can be stopped meanwhile.
"""

from dataclasses import dataclass
from datetime import timedelta

from ledger import record
from local_model import ask_model
from orchestra_sdk import Agent, ApprovalExpired, Context

agent = Agent("payments", slots=2)

TIME_TO_ANSWER = timedelta(days=1)


@dataclass
class Invoice:
    payee: str
    amount: float


@dataclass
class Payment:
    state: str
    number: int | None = None
    by: str = ""


@agent.task("pay_invoice", description="Pays an invoice after somebody has approved it.")
async def pay_invoice(ctx: Context, input: Invoice) -> Payment:
    reserve, pay = f"{ctx.idempotency_key}:reserve", f"{ctx.idempotency_key}:pay"
    amount = f"{input.amount:.2f} to {input.payee}"
    await ctx.step("reserve", lambda: record(reserve, f"reserve {amount}"))
    prompt = f"Write one polite sentence: we pay {amount}."
    letter = await ask_model(ctx, prompt, step="letter")
    shown = {"payee": input.payee, "amount": input.amount, "letter": letter}
    try:
        said = await ctx.approve(f"Pay {amount}?", shown, TIME_TO_ANSWER)
    except ApprovalExpired:
        return Payment("expired")
    if not said.approved:
        return Payment("rejected", by=said.by)
    number = await ctx.step("pay", lambda: record(pay, f"pay {amount}"))
    return Payment("paid", number, said.by)


if __name__ == "__main__":
    agent.run()
