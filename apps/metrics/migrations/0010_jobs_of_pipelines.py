import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("collector", "0008_changes_of_jobs"),
        ("metrics", "0009_failures"),
    ]

    operations = [
        # What was counted by the quarter adds up to the same days, until its project is built again.
        migrations.RenameModel("FactJobQuarter", "FactJobDay"),
        migrations.AlterModelTable("FactJobDay", "fact_job_day"),
        migrations.RemoveConstraint(model_name="factjobday", name="fact_job_quarter_key"),
        migrations.AlterField(
            model_name="factjobday",
            name="at",
            field=models.DateTimeField(help_text="The day's midnight."),
        ),
        migrations.CreateModel(
            name="FactPipelineJobs",
            fields=[
                ("pipeline_id", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "jobs",
                    models.TextField(
                        help_text="The names of all attempts, by stage, with U+001F between them."
                    ),
                ),
                ("is_retried", models.BooleanField(help_text="Some job has more attempts than one.")),
                ("is_dag", models.BooleanField(help_text="Some job waits for its needs, not for stages.")),
                ("is_odd", models.BooleanField(help_text="Some job ended before it began.")),
                ("ended", models.IntegerField()),
                ("first_ended_at", models.DateTimeField(null=True)),
                ("last_ended_at", models.DateTimeField(null=True)),
                ("critical_path_ms", models.BigIntegerField(null=True)),
                ("words", models.IntegerField(help_text="Which version of the definitions said so.")),
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
                "db_table": "fact_pipeline_jobs",
            },
        ),
        migrations.AddConstraint(
            model_name="factjobday",
            constraint=models.UniqueConstraint(fields=("project", "at"), name="fact_job_day_key"),
        ),
        migrations.AddIndex(
            model_name="factpipelinejobs",
            index=models.Index(fields=["project", "pipeline_id"], name="fact_pipeline_jobs_of"),
        ),
    ]
