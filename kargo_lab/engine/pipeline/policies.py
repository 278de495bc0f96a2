"""Is a Stage promoted automatically? The first policy that matches it decides (discovery.md 8.8 rule 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kargo_lab.errors import PipelineError, RuleError
from kargo_lab.resources.configuration import PromotionPolicy
from kargo_lab.rules import labels as selectors
from kargo_lab.rules import patterns


def auto_promotion(policies: Iterable[PromotionPolicy], stage: str, labels: Mapping[str, str]) -> bool:
    """True if the first policy that matches the Stage enables it; without one it is off.

    Policies behind the first match are not looked at, so a pattern in them may be broken. One that is
    reached raises PipelineError.
    """
    for number, policy in enumerate(policies):
        try:
            if _matches(policy, stage, labels):
                return policy.auto_promotion_enabled
        except RuleError as error:
            raise PipelineError(f"Stage {stage}", f"promotionPolicies[{number}] cannot be used: {error}") from None
    return False


def _matches(policy: PromotionPolicy, stage: str, labels: Mapping[str, str]) -> bool:
    requirements = [
        *((key, "In", (value,)) for key, value in policy.match_labels.items()),
        *((each.key, each.operator, each.values) for each in policy.match_expressions),
    ]
    # A selector, where there is one, silences the deprecated field; both understand patterns.
    name = policy.stage_selector_name or ("" if requirements else policy.stage)
    return (not name or patterns.name_selector(name).matches(stage)) and selectors.matches(requirements, labels)
