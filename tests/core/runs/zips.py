"""Zip files of runs, unpacked and changed for tests."""

import io
import json
import zipfile


def read_zip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        return {entry.filename: source.read(entry) for entry in source.infolist()}


def write_zip(contents, **more):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in contents.items():
            target.writestr(name, data, **more)
    return buffer.getvalue()


def change_json(data, file, change):
    """The zip with one of its JSON files changed."""
    contents = read_zip(data)
    name = next(name for name in contents if name.endswith(file))
    value = json.loads(contents[name])
    # 1e999 is valid JSON, and infinite once it is parsed.
    text = json.dumps(change(value)).replace("Infinity", "1e999")
    return write_zip({**contents, name: text})
