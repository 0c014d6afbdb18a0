import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("collector", "0007_signature_of_a_pipelines_commit"),
        ("metrics", "0006_facts_in_batches"),
    ]

    operations = [
        migrations.CreateModel(
            name="FactBranch",
            fields=[
                ("mr_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("ttl_ms", models.BigIntegerField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="collector.project",
                    ),
                ),
            ],
            options={
                "db_table": "fact_branch",
                "indexes": [models.Index(fields=["project", "ended_at"], name="fact_branch_when")],
            },
        ),
        migrations.CreateModel(
            name="FactDelivery",
            fields=[
                ("issue_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("mr_id", models.BigIntegerField()),
                ("deployment_key", models.TextField()),
                ("at", models.DateTimeField()),
                ("lead_ms", models.BigIntegerField(help_text="Since the issue was created.")),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="collector.project",
                    ),
                ),
            ],
            options={
                "db_table": "fact_delivery",
                "indexes": [models.Index(fields=["project", "at"], name="fact_delivery_when")],
            },
        ),
        migrations.CreateModel(
            name="FactIssue",
            fields=[
                ("issue_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("iid", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
                (
                    "sla_ms",
                    models.BigIntegerField(
                        help_text="The target of the first SLA rule that it carries.", null=True
                    ),
                ),
                ("is_bug", models.BooleanField()),
                (
                    "escaped_by",
                    models.TextField(
                        help_text="label, or the tag soon after whose release it was opened.", null=True
                    ),
                ),
                ("rules_version", models.BigIntegerField()),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="collector.project",
                    ),
                ),
            ],
            options={
                "db_table": "fact_issue",
                "indexes": [models.Index(fields=["project", "created_at"], name="fact_issue_when")],
            },
        ),
        migrations.CreateModel(
            name="FactIssueEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("issue_id", models.BigIntegerField()),
                ("event_key", models.TextField()),
                ("at", models.DateTimeField()),
                ("is_reopening", models.BooleanField()),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="collector.project",
                    ),
                ),
            ],
            options={
                "db_table": "fact_issue_event",
                "indexes": [models.Index(fields=["project", "at"], name="fact_issue_event_when")],
                "constraints": [
                    models.UniqueConstraint(fields=("issue_id", "event_key"), name="fact_issue_event_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="FactIssueSpan",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("issue_id", models.BigIntegerField()),
                ("from_at", models.DateTimeField()),
                ("to_at", models.DateTimeField(null=True)),
                ("reopened_at", models.DateTimeField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="collector.project",
                    ),
                ),
            ],
            options={
                "db_table": "fact_issue_span",
                "indexes": [models.Index(fields=["project", "from_at"], name="fact_issue_span_when")],
                "constraints": [
                    models.UniqueConstraint(fields=("issue_id", "from_at"), name="fact_issue_span_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="FactMergeRequestDeployment",
            fields=[
                ("mr_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("deployment_key", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "inferred",
                    models.BooleanField(
                        help_text="By time: the deployment's commit is not on the default branch."
                    ),
                ),
                ("has_issue", models.BooleanField(help_text="It closes an issue.")),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="collector.project",
                    ),
                ),
            ],
            options={
                "db_table": "fact_mr_deployment",
                "indexes": [models.Index(fields=["project", "at"], name="fact_mr_deployment_when")],
            },
        ),
    ]
