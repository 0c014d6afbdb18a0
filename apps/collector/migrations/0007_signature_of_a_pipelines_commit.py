from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("collector", "0006_closing_words"),
    ]

    operations = [
        migrations.AddField(
            model_name="rawpipeline",
            name="commit_is_signed",
            field=models.BooleanField(
                help_text="Whether its commit is signed; null where GitLab did not say it of the pipeline.",
                null=True,
            ),
        ),
    ]
