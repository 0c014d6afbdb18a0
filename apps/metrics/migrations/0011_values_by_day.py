import django.db.models.deletion
from django.db import migrations, models

# The new key is built beside readers and writers before the old ones go: the table is large.
BUILD = """
create unique index concurrently if not exists metric_daily_by_day
    on metric_daily (day, scope_id, metric, "window")
"""
TAKE = """
alter table metric_daily
    drop constraint metric_daily_pkey,
    drop constraint metric_daily_key,
    add constraint metric_daily_pkey primary key using index metric_daily_by_day;
alter table metric_daily drop column id;
drop index metric_daily_day;
"""
SHOW = """
create view metric_value as
select day || ':' || scope_id || ':' || metric || ':' || "window" as key, *
  from metric_daily
"""


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
                migrations.RemoveConstraint(model_name="metricdaily", name="metric_daily_key"),
                migrations.RemoveIndex(model_name="metricdaily", name="metric_daily_day"),
                migrations.RemoveField(model_name="metricdaily", name="id"),
                migrations.AddField(
                    model_name="metricdaily",
                    name="pk",
                    field=models.CompositePrimaryKey(
                        "day", "scope", "metric", "window", editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
        ),
        migrations.RunSQL(SHOW, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="MetricValue",
            fields=[
                ("day", models.DateField()),
                ("metric", models.CharField(max_length=64)),
                ("window", models.CharField(max_length=4)),
                ("numerator", models.BigIntegerField(null=True)),
                ("denominator", models.BigIntegerField(null=True)),
                ("value", models.DecimalField(decimal_places=4, max_digits=24, null=True)),
                (
                    "low",
                    models.DecimalField(
                        decimal_places=4,
                        help_text="Lower end of the 95 % interval of a ratio or percentile; "
                        "null where the sample has none.",
                        max_digits=24,
                        null=True,
                    ),
                ),
                (
                    "high",
                    models.DecimalField(
                        decimal_places=4, help_text="Its upper end.", max_digits=24, null=True
                    ),
                ),
                ("n", models.BigIntegerField()),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        help_text="Why there is no value, from the closed list.",
                        max_length=32,
                    ),
                ),
                ("key", models.TextField(primary_key=True, serialize=False)),
                (
                    "scope",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="metrics.scope",
                    ),
                ),
            ],
            options={"db_table": "metric_value", "managed": False},
        ),
    ]
