from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0005_intervals")]

    operations = [
        migrations.DeleteModel(name="LinkPosition"),
        migrations.AddField(
            model_name="factcommit",
            name="position",
            field=models.IntegerField(
                default=0, help_text="Its own on the mainline, or that of the commit that brought it in."
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="factcommit",
            name="is_mainline",
            field=models.BooleanField(default=False),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="factpipeline",
            name="is_alone",
            field=models.BooleanField(
                default=False, help_text="On its SHA; and none of its jobs was tried again."
            ),
            preserve_default=False,
        ),
    ]
