"""What attempts have cost in US dollars, and the limit of a session."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation


def usd(text: str) -> Decimal | None:
    """The amount that a fact says; None where it says none."""
    try:
        cost = Decimal(text)
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost >= 0 else None


def cost_of(properties: Mapping[str, str]) -> Decimal | None:
    """What an attempt with these facts has cost; None where that is not known."""
    return usd(properties.get("cost_usd", ""))


def shown(amount: Decimal) -> str:
    """An amount for people: cents, and four places where it is small."""
    return f"{amount:.4f}" if 0 < amount < Decimal("0.1") else f"{amount:.2f}"


def limit(max_cost: float) -> Decimal:
    """The limit as it was written: a float holds most decimal fractions only nearly."""
    return Decimal(str(max_cost))


def bare(amount: Decimal) -> str:
    """An amount without zeros at its end."""
    return f"{amount.normalize():f}"


def why_not_started(spent: Decimal, allowed: Decimal) -> str:
    """Why a task does not start once the limit is reached."""
    return f"The session has cost {shown(spent)} USD, and --max-cost allows {bare(allowed)}. Raise it to go on."
