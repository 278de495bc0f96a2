"""GitLab's event documents, as the Go types that Kargo decodes them into.

As for GitHub, a declared member of the wrong type is a 400. Read off GitLab's client library v1.46.0
(HEAD) by reflection; receivers.md 8.2 says that the exact strictness follows the release.
`time` is strict RFC 3339.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STRUCTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "PushEvent": {
            "string": (
                "after before checkout_sha event_name object_kind ref user_avatar user_email user_name user_username"
            ),
            "bool": "ref_protected",
            "int64": "project_id total_commits_count user_id",
            "*Repository": "repository",
            "PushEventProject": "project",
            "[*PushEventCommit]": "commits",
        },
        "PushEventCommit": {
            "string": "id message title url",
            "[string]": "added modified removed",
            "*time": "timestamp",
            "EventCommitAuthor": "author",
        },
        "EventCommitAuthor": {
            "string": "email name",
        },
        "PushEventProject": {
            "string": (
                "avatar_url default_branch description git_http_url git_ssh_url homepage http_url name namespace "
                "path_with_namespace ssh_url url visibility web_url"
            ),
            "int64": "id",
        },
        "Repository": {
            "string": (
                "avatar_url default_branch description git_http_url git_ssh_url homepage http_url name namespace "
                "path_with_namespace ssh_url url visibility web_url"
            ),
        },
        "TagEvent": {
            "string": (
                "after before checkout_sha event_name message object_kind ref user_avatar user_email user_name "
                "user_username"
            ),
            "int64": "project_id total_commits_count user_id",
            "*Repository": "repository",
            "TagEventProject": "project",
            "[*TagEventCommit]": "commits",
        },
        "TagEventCommit": {
            "string": "id message title url",
            "[string]": "added modified removed",
            "*time": "timestamp",
            "EventCommitAuthor": "author",
        },
        "TagEventProject": {
            "string": (
                "avatar_url default_branch description git_http_url git_ssh_url homepage http_url name namespace "
                "path_with_namespace ssh_url url visibility web_url"
            ),
            "int64": "id",
        },
        "MergeEvent": {
            "string": "event_type object_kind",
            "*EventUser": "user",
            "*Repository": "repository",
            "MergeEventChanges": "changes",
            "MergeEventObjectAttributes": "object_attributes",
            "MergeEventProject": "project",
            "[*EventLabel]": "labels",
            "[*EventUser]": "assignees reviewers",
        },
        "EventUser": {
            "string": "avatar_url email name username",
            "int64": "id",
        },
        "MergeEventChanges": {
            "EventChangesAssignees": "assignees",
            "EventChangesDescription": "description",
            "EventChangesLabels": "labels",
            "EventChangesStateID": "state_id",
            "EventChangesTitle": "title",
            "EventChangesUpdatedAt": "updated_at",
            "EventChangesUpdatedByID": "updated_by_id",
            "MergeEventChangesDraft": "draft",
            "MergeEventChangesLastEditedAt": "last_edited_at",
            "MergeEventChangesLastEditedByID": "last_edited_by_id",
            "MergeEventChangesMergeStatus": "merge_status",
            "MergeEventChangesMilestoneID": "milestone_id",
            "MergeEventChangesReviewers": "reviewers",
            "MergeEventChangesSourceBranch": "source_branch",
            "MergeEventChangesSourceProjectID": "source_project_id",
            "MergeEventChangesTargetBranch": "target_branch",
            "MergeEventChangesTargetProjectID": "target_project_id",
        },
        "EventChangesAssignees": {
            "[*EventUser]": "current previous",
        },
        "EventChangesDescription": {
            "string": "current previous",
        },
        "MergeEventChangesDraft": {
            "bool": "current previous",
        },
        "EventChangesLabels": {
            "[*EventLabel]": "current previous",
        },
        "EventLabel": {
            "string": "color created_at description title type updated_at",
            "bool": "template",
            "int64": "group_id id project_id",
        },
        "MergeEventChangesLastEditedAt": {
            "string": "current previous",
        },
        "MergeEventChangesLastEditedByID": {
            "int64": "current previous",
        },
        "MergeEventChangesMergeStatus": {
            "string": "current previous",
        },
        "MergeEventChangesMilestoneID": {
            "int64": "current previous",
        },
        "MergeEventChangesReviewers": {
            "[*EventUser]": "current previous",
        },
        "MergeEventChangesSourceBranch": {
            "string": "current previous",
        },
        "MergeEventChangesSourceProjectID": {
            "int64": "current previous",
        },
        "EventChangesStateID": {
            "int64": "current previous",
        },
        "MergeEventChangesTargetBranch": {
            "string": "current previous",
        },
        "MergeEventChangesTargetProjectID": {
            "int64": "current previous",
        },
        "EventChangesTitle": {
            "string": "current previous",
        },
        "EventChangesUpdatedAt": {
            "string": "current previous",
        },
        "EventChangesUpdatedByID": {
            "int64": "current previous",
        },
        "MergeEventObjectAttributes": {
            "string": (
                "action approvals_before_merge created_at deleted_at description detailed_merge_status "
                "human_time_change human_time_estimate human_total_time_spent in_progress_merge_commit_sha "
                "last_edited_at locked_at merge_commit_sha merge_error merge_status oldrev rebase_commit_sha "
                "source_branch state system_action target_branch title updated_at url"
            ),
            "bool": (
                "blocking_discussions_resolved draft first_contribution merge_when_build_succeeds system "
                "work_in_progress"
            ),
            "*int64": "head_pipeline_id",
            "int64": (
                "assignee_id author_id id iid last_edited_by_id lock_version merge_user_id milestone_id position "
                "source_project_id state_id target_project_id time_change time_estimate total_time_spent "
                "updated_by_id"
            ),
            "[int64]": "assignee_ids reviewer_ids",
            "*MergeParams": "merge_params",
            "*Repository": "source target",
            "EventMergeRequestLastCommit": "last_commit",
            "[*Commit]": "st_commits",
            "[*Diff]": "st_diffs",
            "[*EventLabel]": "labels",
        },
        "EventMergeRequestLastCommit": {
            "string": "id message title url",
            "*time": "timestamp",
            "EventCommitAuthor": "author",
        },
        "Commit": {
            "*string": "status",
            "string": "author_email author_name committer_email committer_name id message short_id title web_url",
            "[string]": "parent_ids",
            "int64": "project_id",
            "*time": "authored_date committed_date created_at",
            "{string}": "extended_trailers trailers",
            "*CommitStats": "stats",
            "*PipelineInfo": "last_pipeline",
        },
        "PipelineInfo": {
            "string": "name ref sha source status web_url",
            "int64": "id iid project_id",
            "*time": "created_at updated_at",
        },
        "CommitStats": {
            "int64": "additions deletions total",
        },
        "Diff": {
            "string": "a_mode b_mode diff new_path old_path",
            "bool": "deleted_file new_file renamed_file",
        },
        "MergeEventProject": {
            "string": (
                "avatar_url ci_config_path default_branch description git_http_url git_ssh_url homepage http_url "
                "name namespace path_with_namespace ssh_url url visibility web_url"
            ),
            "int64": "id",
        },
        "MergeParams": {"any": "force_remove_source_branch"},
    }
)
