"""The pages that play clips, read back."""

import json
from pathlib import Path
from typing import Any


def data_of(page: Path) -> dict[str, Any]:
    """What a page plays."""
    text = page.read_text(encoding='utf-8')
    return json.loads(text.split('<script id="data" type="application/json">')[1].split('</script>')[0])
