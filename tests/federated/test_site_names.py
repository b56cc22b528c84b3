"""Names of sites and jobs, against FLARE's own patterns."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvflare.apis.utils.format_check import type_pattern_mapping

from ecg_flare.errors import ConfigError
from ecg_flare.federated.site_names import MAX_LENGTH, check_job_name, check_site_name, check_site_names


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9_-]{1,70}", fullmatch=True))
def test_a_name_that_is_taken_is_one_that_flare_takes(name: str) -> None:
    try:
        check_site_name(name)
    except ConfigError:
        return
    assert re.fullmatch(type_pattern_mapping["client"], name)
    assert len(name) <= MAX_LENGTH
    assert name.lower() != "server"
    assert not name.startswith("-")


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("Uni Köln", "Uni-Koeln"),
        ("st.mary", "st-mary"),
        ("a/b", "a-b"),
        ("../x", "x"),
        ("a;b;c", "a-b-c"),
        ("site-1\n", "site-1"),
        ("-c", "c"),
        ("@ALL", "ALL"),
        ("", "site-1"),
        ("東京", "site-1"),
    ],
)
def test_a_name_that_flare_refuses_is_refused_with_a_form_that_is_valid(name: str, valid: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"the site's name is {name!r}")) as refused:
        check_site_name(name)
    assert str(refused.value).endswith(f"such as {valid!r}")
    assert check_site_name(valid) == valid


@pytest.mark.parametrize("name", ["server", "Server"])
def test_the_servers_name_is_no_sites(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name!r}, which is the server's"):
        check_site_name(name)


def test_a_name_is_as_long_as_a_certificates_may_be() -> None:
    assert check_site_name("a" * 64)
    with pytest.raises(ConfigError, match="has 65 characters, expected at most 64"):
        check_site_name("a" * 65)


def test_names_that_differ_by_case_alone_would_share_a_folder() -> None:
    with pytest.raises(ConfigError, match="'Lyon' and 'lyon' differ by case alone"):
        check_site_names(["Lyon", "berlin", "lyon"])
    with pytest.raises(ConfigError, match="'lyon' is named twice"):
        check_site_names(["lyon", "berlin", "lyon"])
    with pytest.raises(ConfigError, match="no site is named"):
        check_site_names([])
    assert check_site_names(["Lyon", "berlin"]) == ("Lyon", "berlin")


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b", "", "naïve"])
def test_a_jobs_name_is_a_folders(name: str) -> None:
    assert check_job_name("fedadam_dp-2.1") == "fedadam_dp-2.1"
    with pytest.raises(ConfigError, match=re.escape(f"the job's name is {name!r}")):
        check_job_name(name)
