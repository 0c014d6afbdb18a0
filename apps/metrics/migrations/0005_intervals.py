from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0002_unsigned_may_be_unknown")]

    operations = [
        migrations.AddField(
            model_name="metricdaily",
            name="low",
            field=models.DecimalField(
                decimal_places=4,
                help_text="Lower end of the 95 % interval of a ratio or percentile; null where the sample has none.",
                max_digits=24,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="metricdaily",
            name="high",
            field=models.DecimalField(decimal_places=4, help_text="Its upper end.", max_digits=24, null=True),
        ),
    ]
