from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built beside the writers of a large table

    dependencies = [
        ("collector", "0003_order_of_commits"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="rawmergerequestcommit",
            index=models.Index(fields=["author_email_hash"], name="raw_mr_commit_address"),
        ),
    ]
