"""GitHub's event documents, as the Go types that Kargo decodes them into.

A member of the wrong JSON type is a 400 even where nothing reads it, so all declared members are
listed: by type, in Go's notation, then by name. Read off go-github v76 (Kargo v1.11 and HEAD) by
reflection; older releases differ in members that no receiver reads. `timestamp` takes Unix seconds
or RFC 3339. Members that Go keeps unread are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STRUCTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "PingEvent": {
            "*string": "zen",
            "*int64": "hook_id",
            "*Hook": "hook",
            "*Installation": "installation",
            "*Organization": "organization",
            "*Repository": "repository",
            "*User": "sender",
        },
        "Hook": {
            "*string": "name ping_url test_url type url",
            "[string]": "events",
            "*bool": "active",
            "*int64": "id",
            "*timestamp": "created_at updated_at",
            "{any}": "last_response",
            "*HookConfig": "config",
        },
        "HookConfig": {
            "*string": "content_type insecure_ssl secret url",
        },
        "Installation": {
            "*string": (
                "access_tokens_url app_slug client_id html_url node_id repositories_url repository_selection "
                "single_file_name target_type"
            ),
            "[string]": "events single_file_paths",
            "*bool": "has_multiple_single_files",
            "*int64": "app_id id target_id",
            "*timestamp": "created_at suspended_at updated_at",
            "*InstallationPermissions": "permissions",
            "*User": "account suspended_by",
        },
        "User": {
            "*string": (
                "assignment avatar_url bio blog company email events_url followers_url following_url gists_url "
                "gravatar_id html_url ldap_dn location login name node_id organizations_url received_events_url "
                "repos_url role_name starred_url subscriptions_url twitter_username type url"
            ),
            "*bool": "hireable site_admin two_factor_authentication",
            "*int64": (
                "collaborators disk_usage followers following id owned_private_repos private_gists public_gists "
                "public_repos total_private_repos"
            ),
            "*timestamp": "created_at suspended_at updated_at",
            "*Plan": "plan",
            "[*Team]": "inherited_from",
            "[*TextMatch]": "text_matches",
            "{bool}": "permissions",
        },
        "Team": {
            "*string": (
                "assignment description html_url ldap_dn members_url name node_id notification_setting permission "
                "privacy repositories_url slug url"
            ),
            "*int64": "id members_count repos_count",
            "*Organization": "organization",
            "*Team": "parent",
            "{bool}": "permissions",
        },
        "Organization": {
            "*string": (
                "avatar_url billing_email blog company default_repository_branch default_repository_permission "
                "default_repository_settings description email events_url hooks_url html_url issues_url location "
                "login members_allowed_repository_creation_type members_url name node_id public_members_url "
                "repos_url twitter_username type url"
            ),
            "*bool": (
                "advanced_security_enabled_for_new_repositories dependabot_alerts_enabled_for_new_repositories "
                "dependabot_security_updates_enabled_for_new_repositories "
                "dependency_graph_enabled_for_new_repositories display_commenter_full_name_setting_enabled "
                "has_organization_projects has_repository_projects is_verified members_can_change_repo_visiblilty "
                "members_can_create_internal_repositories members_can_create_pages members_can_create_private_pages "
                "members_can_create_private_repositories members_can_create_public_pages "
                "members_can_create_public_repositories members_can_create_repositories members_can_create_teams "
                "members_can_delete_issues members_can_delete_repositories members_can_fork_private_repositories "
                "members_can_invite_outside_collaborators members_can_view_dependency_insights "
                "readers_can_create_discussions secret_scanning_enabled_for_new_repositories "
                "secret_scanning_push_protection_enabled_for_new_repositories "
                "secret_scanning_validity_checks_enabled two_factor_requirement_enabled web_commit_signoff_required"
            ),
            "*int64": (
                "collaborators disk_usage followers following id owned_private_repos private_gists public_gists "
                "public_repos total_private_repos"
            ),
            "*timestamp": "created_at updated_at",
            "*Plan": "plan",
        },
        "Plan": {
            "*string": "name",
            "*int64": "collaborators filled_seats private_repos seats space",
        },
        "TextMatch": {
            "*string": "fragment object_type object_url property",
            "[*Match]": "matches",
        },
        "Match": {
            "*string": "text",
            "[int64]": "indices",
        },
        "InstallationPermissions": {
            "*string": (
                "actions actions_variables administration attestations blocking checks codespaces "
                "codespaces_lifecycle_admin codespaces_metadata codespaces_secrets codespaces_user_secrets "
                "content_references contents copilot_messages dependabot_secrets deployments discussions emails "
                "environments followers gists git_signing_ssh_public_keys gpg_keys interaction_limits issues keys "
                "members merge_queues metadata organization_actions_variables organization_administration "
                "organization_announcement_banners organization_api_insights organization_codespaces "
                "organization_codespaces_secrets organization_codespaces_settings "
                "organization_copilot_seat_management organization_custom_org_roles organization_custom_properties "
                "organization_custom_roles organization_dependabot_secrets organization_events organization_hooks "
                "organization_knowledge_bases organization_packages organization_personal_access_token_requests "
                "organization_personal_access_tokens organization_plan organization_pre_receive_hooks "
                "organization_projects organization_secrets organization_self_hosted_runners "
                "organization_user_blocking packages pages plan profile pull_requests repository_advisories "
                "repository_custom_properties repository_hooks repository_pre_receive_hooks repository_projects "
                "secret_scanning_alerts secrets security_events single_file starring statuses team_discussions "
                "user_events vulnerability_alerts watching workflows"
            ),
        },
        "Repository": {
            "*string": (
                "archive_url assignees_url blobs_url branches_url clone_url collaborators_url comments_url "
                "commits_url compare_url contents_url contributors_url default_branch deployments_url description "
                "downloads_url events_url forks_url full_name git_commits_url git_refs_url git_tags_url git_url "
                "gitignore_template homepage hooks_url html_url issue_comment_url issue_events_url issues_url "
                "keys_url labels_url language languages_url license_template master_branch merge_commit_message "
                "merge_commit_title merges_url milestones_url mirror_url name node_id notifications_url pulls_url "
                "releases_url role_name squash_merge_commit_message squash_merge_commit_title ssh_url "
                "stargazers_url statuses_url subscribers_url subscription_url svn_url tags_url teams_url trees_url "
                "url visibility"
            ),
            "[string]": "topics",
            "*bool": (
                "allow_auto_merge allow_forking allow_merge_commit allow_rebase_merge allow_squash_merge "
                "allow_update_branch archived auto_init delete_branch_on_merge disabled fork has_discussions "
                "has_downloads has_issues has_pages has_projects has_wiki is_template private "
                "use_squash_pr_title_as_default web_commit_signoff_required"
            ),
            "*int64": (
                "forks_count id network_count open_issues open_issues_count size stargazers_count subscribers_count "
                "team_id watchers watchers_count"
            ),
            "*timestamp": "created_at pushed_at updated_at",
            "{any}": "custom_properties",
            "*CodeOfConduct": "code_of_conduct",
            "*License": "license",
            "*Organization": "organization",
            "*Repository": "parent source template_repository",
            "*SecurityAndAnalysis": "security_and_analysis",
            "*User": "owner",
            "[*TextMatch]": "text_matches",
            "{bool}": "permissions",
        },
        "CodeOfConduct": {
            "*string": "body key name url",
        },
        "License": {
            "*string": "body description html_url implementation key name spdx_id url",
            "[string]": "conditions limitations permissions",
            "*bool": "featured",
        },
        "SecurityAndAnalysis": {
            "*AdvancedSecurity": "advanced_security",
            "*DependabotSecurityUpdates": "dependabot_security_updates",
            "*SecretScanning": "secret_scanning",
            "*SecretScanningPushProtection": "secret_scanning_push_protection",
            "*SecretScanningValidityChecks": "secret_scanning_validity_checks",
        },
        "AdvancedSecurity": {
            "*string": "status",
        },
        "DependabotSecurityUpdates": {
            "*string": "status",
        },
        "SecretScanning": {
            "*string": "status",
        },
        "SecretScanningPushProtection": {
            "*string": "status",
        },
        "SecretScanningValidityChecks": {
            "*string": "status",
        },
        "PushEvent": {
            "*string": "action after base_ref before compare head ref",
            "*bool": "created deleted forced",
            "*int64": "distinct_size push_id size",
            "*CommitAuthor": "pusher",
            "*HeadCommit": "head_commit",
            "*Installation": "installation",
            "*Organization": "organization",
            "*PushEventRepository": "repository",
            "*User": "sender",
            "[*HeadCommit]": "commits",
        },
        "HeadCommit": {
            "*string": "id message sha tree_id url",
            "[string]": "added modified removed",
            "*bool": "distinct",
            "*timestamp": "timestamp",
            "*CommitAuthor": "author committer",
        },
        "CommitAuthor": {
            "*string": "email name username",
            "*timestamp": "date",
        },
        "PushEventRepository": {
            "*string": (
                "archive_url clone_url default_branch description full_name git_url homepage html_url language "
                "master_branch name node_id organization pulls_url ssh_url statuses_url svn_url url"
            ),
            "[string]": "topics",
            "*bool": "archived disabled fork has_downloads has_issues has_pages has_wiki private",
            "*int64": "forks_count id open_issues_count size stargazers_count watchers_count",
            "*timestamp": "created_at pushed_at updated_at",
            "{any}": "custom_properties",
            "*User": "owner",
        },
        "PackageEvent": {
            "*string": "action",
            "*Installation": "installation",
            "*Organization": "organization",
            "*Package": "package",
            "*Repository": "repository",
            "*User": "sender",
        },
        "Package": {
            "*string": "description ecosystem html_url name namespace package_type url visibility",
            "*int64": "id version_count",
            "*timestamp": "created_at updated_at",
            "*PackageRegistry": "registry",
            "*PackageVersion": "package_version",
            "*Repository": "repository",
            "*User": "owner",
        },
        "PackageVersion": {
            "*string": (
                "body_html description html_url installation_command license manifest name package_html_url "
                "package_url source_url summary tag_name target_commitish target_oid url version"
            ),
            "*bool": "draft prerelease",
            "*int64": "id",
            "*timestamp": "created_at deleted_at updated_at",
            "[any]": "docker_metadata",
            "{any}": "ruby_metadata",
            "*PackageEventContainerMetadata": "container_metadata",
            "*PackageNPMMetadata": "npm_metadata",
            "*PackageRelease": "release",
            "*User": "author",
            "[*PackageFile]": "package_files",
            "[*PackageNugetMetadata]": "nuget_metadata",
        },
        "PackageEventContainerMetadata": {
            "{any}": "labels manifest",
            "*PackageEventContainerMetadataTag": "tag",
        },
        "PackageEventContainerMetadataTag": {
            "*string": "digest name",
        },
        "PackageNPMMetadata": {
            "*string": (
                "commit_oid description git_head homepage id installation_command license main name node_version "
                "npm_user npm_version readme version"
            ),
            "[string]": "cpu files keywords os",
            "*bool": "has_shrinkwrap published_via_actions",
            "*int64": "deleted_by_id release_id",
            "[any]": "contributors maintainers",
            "{any}": "bin man scripts",
            "{string}": (
                "author bugs dependencies dev_dependencies directories dist engines optional_dependencies "
                "peer_dependencies repository"
            ),
        },
        "PackageNugetMetadata": {
            "*string": "name",
        },
        "PackageFile": {
            "*string": "content_type download_url md5 name sha1 sha256 state",
            "*int64": "id size",
            "*timestamp": "created_at updated_at",
            "*User": "author",
        },
        "PackageRelease": {
            "*string": "html_url name tag_name target_commitish url",
            "*bool": "draft prerelease",
            "*int64": "id",
            "*timestamp": "created_at published_at",
            "*User": "author",
        },
        "PackageRegistry": {
            "*string": "about_url name type url vendor",
        },
        "RegistryPackageEvent": {
            "*string": "action",
            "*Enterprise": "enterprise",
            "*Installation": "installation",
            "*Organization": "organization",
            "*Package": "registry_package",
            "*Repository": "repository",
            "*User": "sender",
        },
        "Enterprise": {
            "*string": "avatar_url description html_url name node_id slug website_url",
            "*int64": "id",
            "*timestamp": "created_at updated_at",
        },
        "PullRequestEvent": {
            "*string": "action after before reason",
            "*int64": "number",
            "*App": "performed_via_github_app",
            "*EditChange": "changes",
            "*Installation": "installation",
            "*Label": "label",
            "*Organization": "organization",
            "*PullRequest": "pull_request",
            "*Repository": "repository",
            "*Team": "requested_team",
            "*User": "assignee requested_reviewer sender",
        },
        "EditChange": {
            "*EditBase": "base",
            "*EditBody": "body",
            "*EditDefaultBranch": "default_branch",
            "*EditOwner": "owner",
            "*EditRepo": "repository",
            "*EditTitle": "title",
            "*EditTopics": "topics",
        },
        "EditBase": {
            "*EditRef": "ref",
            "*EditSHA": "sha",
        },
        "EditRef": {
            "*string": "from",
        },
        "EditSHA": {
            "*string": "from",
        },
        "EditBody": {
            "*string": "from",
        },
        "EditDefaultBranch": {
            "*string": "from",
        },
        "EditOwner": {
            "*OwnerInfo": "from",
        },
        "OwnerInfo": {
            "*User": "organization user",
        },
        "EditRepo": {
            "*RepoName": "name",
        },
        "RepoName": {
            "*string": "from",
        },
        "EditTitle": {
            "*string": "from",
        },
        "EditTopics": {
            "[string]": "from",
        },
        "Label": {
            "*string": "color description name node_id url",
            "*bool": "default",
            "*int64": "id",
        },
        "App": {
            "*string": "description external_url html_url name node_id slug",
            "[string]": "events",
            "*int64": "id installations_count",
            "*timestamp": "created_at updated_at",
            "*InstallationPermissions": "permissions",
            "*User": "owner",
        },
        "PullRequest": {
            "*string": (
                "active_lock_reason author_association body comments_url commits_url diff_url html_url issue_url "
                "merge_commit_sha mergeable_state node_id patch_url review_comment_url review_comments_url state "
                "statuses_url title url"
            ),
            "*bool": "draft locked maintainer_can_modify mergeable merged rebaseable",
            "*int64": "additions changed_files comments commits deletions id number review_comments",
            "*timestamp": "closed_at created_at merged_at updated_at",
            "*Milestone": "milestone",
            "*PRLinks": "_links",
            "*PullRequestAutoMerge": "auto_merge",
            "*PullRequestBranch": "base head",
            "*User": "assignee merged_by user",
            "[*Label]": "labels",
            "[*Team]": "requested_teams",
            "[*User]": "assignees requested_reviewers",
        },
        "PRLinks": {
            "*PRLink": "comments commits html issue review_comment review_comments self statuses",
        },
        "PRLink": {
            "*string": "href",
        },
        "PullRequestAutoMerge": {
            "*string": "commit_message commit_title merge_method",
            "*User": "enabled_by",
        },
        "PullRequestBranch": {
            "*string": "label ref sha",
            "*Repository": "repo",
            "*User": "user",
        },
        "Milestone": {
            "*string": "description html_url labels_url node_id state title url",
            "*int64": "closed_issues id number open_issues",
            "*timestamp": "closed_at created_at due_on updated_at",
            "*User": "creator",
        },
    }
)
