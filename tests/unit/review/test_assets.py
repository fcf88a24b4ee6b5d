"""The page's files, and the one file that they are bound into."""

from __future__ import annotations

import json
import re

from batchfill.review import assets


def test_no_file_of_the_page_names_another_host() -> None:
    for name in assets.asset_names():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", assets.read_asset(name)))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_names_at_the_top_of_the_modules_differ_so_that_they_can_be_one_script() -> None:
    tops = [
        name
        for file in assets.asset_names()
        if file.endswith(".js")
        for name in re.findall(
            r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)",
            assets.read_asset(file),
            re.MULTILINE,
        )
    ]
    assert sorted(tops) == sorted(set(tops))


def test_every_module_is_bound_once_behind_those_that_it_imports() -> None:
    script = assets.join_scripts()
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    for file in assets.asset_names():
        if file.endswith(".js"):
            assert script.count(assets.read_asset(file).partition("\n")[0]) == 1, file
    assert script.index("function el(") < script.index("class Wall") < script.index("const wall =")


def test_no_text_of_a_manifest_ends_the_element_that_holds_it() -> None:
    said = json.dumps({"rows": [{"prompt": "</script><script>alert(1)</script><!--"}]})
    page = assets.bind_page(said)
    (held,) = re.findall(r'<script type="application/json" id="batch">(.*?)</script>', page, re.DOTALL)
    assert json.loads(held) == json.loads(said)
    assert "alert(1)</script>" not in page


def test_a_report_asks_nobody_for_anything_but_pictures() -> None:
    page = assets.bind_page("{}")
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []
    assert "default-src 'none'" in page
