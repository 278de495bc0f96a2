"""Freight creation criteria: an expression over what was discovered (discovery.md 7.8)."""

from __future__ import annotations

from functools import partial

from kargo_lab.engine.reconciliation import CriteriaError
from kargo_lab.errors import ExpressionError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources.artifacts import DiscoveredArtifacts
from kargo_lab.rules import expressions, urls


def satisfied(expression: str, found: DiscoveredArtifacts, *, profile: Profile = LATEST) -> bool:
    """Whether the criteria hold. Raises CriteriaError where they cannot be evaluated, or give no boolean."""
    functions = expressions.criteria_functions(
        _artifacts(found),
        normalize_git=partial(urls.normalize_git, profile=profile),
        normalize_image=partial(urls.normalize_image, profile=profile),
        normalize_chart=partial(urls.normalize_chart, profile=profile),
    )
    try:
        program = expressions.compile(expression, environment=expressions.CRITERIA, version=profile.expr_version)
        return expressions.accepted(program.run(functions))
    except ExpressionError as error:
        doing = "compiling" if error.stage == "compile" else "running"
        raise CriteriaError(f"error {doing} expression: {error}") from None


def _artifacts(found: DiscoveredArtifacts) -> expressions.Artifacts:
    return expressions.Artifacts(
        commits=tuple(
            (
                each.repo_url,
                tuple(
                    expressions.Commit(
                        id=commit.id,
                        branch=commit.branch,
                        tag=commit.tag,
                        subject=commit.subject,
                        author=commit.author,
                        committer=commit.committer,
                        creator_date=commit.creator_date,
                    )
                    for commit in each.commits[:1]
                ),
            )
            for each in found.git
        ),
        images=tuple(
            (
                each.repo_url,
                tuple(
                    expressions.Image(
                        tag=image.tag,
                        digest=image.digest,
                        annotations=dict(image.annotations),
                        created_at=image.created_at,
                    )
                    for image in each.references[:1]
                ),
            )
            for each in found.images
        ),
        charts=tuple((each.repo_url, each.name, each.versions[:1]) for each in found.charts),
        artifacts=tuple(
            (
                each.name,
                tuple(
                    expressions.Artifact(
                        artifact_type=reference.artifact_type,
                        subscription_name=reference.subscription_name,
                        version=reference.version,
                        metadata=dict(reference.metadata),
                    )
                    for reference in each.references[:1]
                ),
            )
            for each in found.results
        ),
    )
