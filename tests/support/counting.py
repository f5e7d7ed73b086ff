"""How often something is called: a count says more of a guard than a time does, and is the same on every machine."""

from __future__ import annotations

from typing import Any

import pytest


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Record the calls of a function or method from now on; the list grows by its name with each."""
    calls: list[str] = []
    original = getattr(owner, name)

    def recording(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, recording)
    return calls
