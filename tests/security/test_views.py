"""What somebody sees, as an administrator writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import InvalidEntry
from archive.security.people import Principal
from archive.security.roles import ALL_RIGHTS, Right
from archive.security.views import Grant, View, both


def test_a_line_is_read_and_written_as_it_was():
    grant = Grant.read(" institution = St. Mary*, Holy Cross\\, London ; modality=ct,MR;")

    assert grant == Grant(institution=("St. Mary*", "Holy Cross, London"), modality=("CT", "MR"))
    assert str(grant) == "institution=St. Mary*,Holy Cross\\, London; modality=CT,MR"
    assert Grant.read(str(grant)) == grant


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "institution",
        "institution=",
        "institution=*",
        "institution=a,,b",
        "institution=a; institution=b",
        "institution=a\nb",
        "colour=red",
        "modality=C\\,T",
        "patient=*",
        "ae=SEVENTEEN_LETTERS",
        "study=1.2.x",
        "study=" + "1" * 65,
        "modality=" + ",".join(f"M{number}" for number in range(201)),
        "institution=" + "a" * 30_000,
    ],
)
def test_what_cannot_be_meant_is_refused(text):
    with pytest.raises(InvalidEntry, match="see:"):
        Grant.read(text)


def test_nothing_can_be_said_that_is_everything():
    with pytest.raises(InvalidEntry):
        Grant()
    with pytest.raises(InvalidEntry):
        View(())
    assert View.of_studies([]) == View(((),))
    assert View.read([]) == View(((),))


def test_two_views_together_are_both():
    one, other = View.read(["modality=CT"]), View.of_studies(["1.2"])

    assert (one & other).sets == (*one.sets, *other.sets)
    assert one & one == one
    assert both(None, other) == both(other, None) == other
    assert both(None, None) is None
    assert both(one, other) == one & other


def test_who_has_a_view_has_only_the_rights_that_keep_within_it():
    seen = Principal("ada", ALL_RIGHTS, view=View.of_studies(["1.2"]))

    assert seen.rights == {
        Right.ACCOUNT, Right.SEE, Right.STORE, Right.REJECT, Right.DELETE, Right.SHARE
    }  # fmt: skip
    assert not seen.may(Right.ADMINISTER)
    assert Principal("ada", ALL_RIGHTS).may(Right.ADMINISTER)


_VALUES = st.lists(
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
        lambda text: text.strip("* ") and not {"*", "?"} & set(text)
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(institution=_VALUES, patient=_VALUES)
def test_whatever_is_said_comes_back(institution, patient):
    grant = Grant(institution=tuple(institution), patient=tuple(patient))

    assert Grant.read(str(grant)) == grant
