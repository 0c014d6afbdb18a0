from django.db import migrations, models

# The new index is built beside readers and writers before the old ones go: the table is large.
BUILD = 'create unique index concurrently if not exists metric_daily_by_day on metric_daily (day, scope_id, metric, "window")'
TAKE = "alter table metric_daily add constraint metric_daily_by_day unique using index metric_daily_by_day"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("metrics", "0010_jobs_of_pipelines"),
    ]

    operations = [
        migrations.RunSQL(BUILD, migrations.RunSQL.noop),
        migrations.RunSQL(
            TAKE,
            migrations.RunSQL.noop,
            state_operations=[
                migrations.AddConstraint(
                    model_name="metricdaily",
                    constraint=models.UniqueConstraint(
                        fields=("day", "scope", "metric", "window"), name="metric_daily_by_day"
                    ),
                ),
            ],
        ),
        migrations.RemoveConstraint(model_name="metricdaily", name="metric_daily_key"),
        migrations.RemoveIndex(model_name="metricdaily", name="metric_daily_day"),
    ]
