from django.db import migrations, models

NOTE = """
create function note_job_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_job_change (project_id, pipeline_id)
        select distinct project_id, pipeline_id from come;
    elsif tg_op = 'DELETE' then
        insert into raw_job_change (project_id, pipeline_id)
        select distinct project_id, pipeline_id from gone;
    else
        insert into raw_job_change (project_id, pipeline_id)
        select project_id, pipeline_id from come union select project_id, pipeline_id from gone;
    end if;
    return null;
end
$$;
create trigger raw_job_come after insert on raw_job
    referencing new table as come for each statement execute function note_job_change();
create trigger raw_job_changed after update on raw_job
    referencing old table as gone new table as come for each statement execute function note_job_change();
create trigger raw_job_gone after delete on raw_job
    referencing old table as gone for each statement execute function note_job_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("collector", "0007_signature_of_a_pipelines_commit"),
    ]

    operations = [
        migrations.CreateModel(
            name="RawJobChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("project_id", models.BigIntegerField()),
                ("pipeline_id", models.BigIntegerField()),
            ],
            options={
                "db_table": "raw_job_change",
                "indexes": [models.Index(fields=["project_id"], name="raw_job_change_of")],
            },
        ),
        migrations.RunSQL(NOTE, migrations.RunSQL.noop),
    ]
