import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.rules import signatures

SECRET, BODY = b"s3cr3t", b'{"zen":"ok"}'
# receivers.md section 4.
HEX = {
    "sha1": "a46adf40b01bda310d51be29843d21ee7a801a8e",
    "sha256": "2ef16f4a345cb4b1e5cd07b5755f3a171abc817232a31326a835a069702de932",
    "sha512": "723efcf79cde9c07f3cfd3e5df8dd43c5b6975b243084ef4d0cba0c36de7257f"
    "b5ea468d4547f459260fba86611193bfdbf43370db1c1cec3560dd471c819027",
}


@pytest.mark.parametrize("algorithm", HEX)
def test_signs_as_in_the_specification(algorithm):
    assert signatures.sign_prefixed(SECRET, BODY, algorithm=algorithm) == f"{algorithm}={HEX[algorithm]}"


def test_signs_with_sha_256_unless_told_otherwise():
    assert signatures.sign_prefixed(SECRET, BODY) == f"sha256={HEX['sha256']}"


@pytest.mark.parametrize("claimed", [f"{a}={h}" for a, h in HEX.items()] + [f"sha256={HEX['sha256'].upper()}"])
def test_accepts_a_prefixed_signature(claimed):
    assert signatures.prefixed_matches(claimed, BODY, SECRET)


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param("", id="nothing"),
        pytest.param(HEX["sha256"], id="no prefix"),
        pytest.param(f"SHA256={HEX['sha256']}", id="a prefix in upper case"),
        pytest.param(f"md5={HEX['sha256']}", id="another prefix"),
        pytest.param("sha256=", id="nothing behind the prefix"),
        pytest.param(f"sha256= {HEX['sha256']}", id="a blank"),
        pytest.param(f"sha256={HEX['sha256'][:-1]}g", id="a letter that is no hex"),
        pytest.param(f"sha256={HEX['sha256'][:-2]}", id="a digest cut short"),
        pytest.param(f"sha256={HEX['sha1']}", id="the digest of another algorithm"),
        pytest.param(f"sha256={HEX['sha256'][:-1]}\u212a", id="letters beyond ASCII"),
        pytest.param(f"sha256={HEX['sha256'][::-1]}", id="a wrong digest"),
    ],
)
def test_refuses_a_prefixed_signature(claimed):
    assert not signatures.prefixed_matches(claimed, BODY, SECRET)


def test_an_algorithm_can_be_ruled_out():
    assert not signatures.prefixed_matches(f"sha1={HEX['sha1']}", BODY, SECRET, algorithms=("sha256",))


@pytest.mark.parametrize(
    ("claimed", "accepted"),
    [
        (HEX["sha256"], True),
        (HEX["sha256"].upper(), False),
        (f"sha256={HEX['sha256']}", False),
        ("s3cr3t", False),
        ("\udcff", False),
    ],
)
def test_a_bare_signature_is_lower_case_hex_alone(claimed, accepted):
    assert signatures.bare_sha256_matches(claimed, BODY, SECRET) is accepted


def test_what_is_signed_bare_matches():
    assert signatures.bare_sha256_matches(signatures.sign_bare(SECRET, BODY), BODY, SECRET)


@pytest.mark.parametrize(
    ("claimed", "secret", "accepted"),
    [
        ("s3cr3t", b"s3cr3t", True),
        ("s3cr3t", b"s3cr3t\n", False),
        ("", b"", True),
        ("\u00e9", "\u00e9".encode(), True),
        ("\udcff", b"\xff", True),
        ("\ud800", b"x", False),
    ],
)
def test_a_token_is_compared_byte_for_byte(claimed, secret, accepted):
    assert signatures.token_matches(claimed, secret) is accepted


@given(claimed=st.text() | st.from_regex(r"sha(1|256|512)=[0-9a-f]*"), body=st.binary(), secret=st.binary())
def test_whatever_a_stranger_claims_is_answered(claimed, body, secret):
    signatures.token_matches(claimed, secret)
    signatures.bare_sha256_matches(claimed, body, secret)
    assert not signatures.prefixed_matches(claimed + "x", body, secret)
