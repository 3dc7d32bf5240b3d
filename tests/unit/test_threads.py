"""Trees of tweets taken apart into support conversations."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from producer.readers.threads import Thread, Tweet, split_tree


def _tweet(tweet_id: str, parent: str | None, author: str, time: float | None = None) -> Tweet:
    """A tweet; the company's name is `shop`, and without a time it is the id."""
    is_company = author == "shop"
    moment = float(tweet_id) if time is None else time
    return Tweet(int(tweet_id), tweet_id, parent, author, "agent" if is_company else "user", moment, f"said {tweet_id}")


def _ids(threads: list[Thread]) -> dict[str, list[str]]:
    return {thread.id: [tweet.id for tweet in thread.tweets] for thread in threads}


def test_one_customer_and_the_company_are_one_conversation() -> None:
    tree = [_tweet("1", None, "ann"), _tweet("2", "1", "shop"), _tweet("3", "2", "ann"), _tweet("4", "3", "shop")]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3", "4"]}


def test_branches_of_one_customer_stand_in_time_order() -> None:
    tree = [
        _tweet("1", None, "ann"),
        _tweet("4", "1", "shop"),
        _tweet("2", "1", "shop"),
        _tweet("3", "2", "ann"),
        _tweet("5", "4", "ann"),
    ]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3", "4", "5"]}


def test_a_second_customer_who_is_answered_has_a_conversation_of_their_own() -> None:
    tree = [_tweet("1", None, "ann"), _tweet("2", "1", "shop"), _tweet("3", "2", "bob"), _tweet("4", "3", "shop")]
    assert _ids(split_tree(tree)) == {"1": ["1", "2"], "3": ["3", "4"]}


def test_a_remark_that_nobody_answers_stays_where_it_was_made() -> None:
    tree = [_tweet("1", None, "ann"), _tweet("2", "1", "bob"), _tweet("3", "2", "ann"), _tweet("4", "3", "shop")]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3", "4"]}


def test_an_announcement_opens_the_conversation_of_each_customer_below_it() -> None:
    tree = [
        _tweet("1", None, "shop"),
        _tweet("2", "1", "ann"),
        _tweet("3", "1", "bob"),
        _tweet("4", "2", "shop"),
        _tweet("5", "3", "shop"),
        _tweet("6", "1", "eve"),
        _tweet("7", "1", "kim"),
    ]
    assert _ids(split_tree(tree)) == {"2": ["1", "2", "4"], "3": ["1", "3", "5"], "6": ["1", "6", "7"]}


def test_what_somebody_else_said_first_opens_the_conversation() -> None:
    tree = [_tweet("1", None, "brand"), _tweet("2", "1", "ann"), _tweet("3", "2", "shop")]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3"]}


def test_a_tree_that_nobody_answered_is_one_conversation() -> None:
    tree = [_tweet("1", None, "ann"), _tweet("2", "1", "bob")]
    assert _ids(split_tree(tree)) == {"1": ["1", "2"]}


def test_the_company_going_on_answers_the_same_customer() -> None:
    tree = [_tweet("1", None, "ann"), _tweet("2", "1", "shop"), _tweet("3", "2", "shop"), _tweet("4", "3", "ann")]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3", "4"]}


def test_without_authors_all_customers_are_one() -> None:
    tree = [
        replace(tweet, author="") for tweet in (_tweet("1", None, "a"), _tweet("2", "1", "shop"), _tweet("3", "2", "b"))
    ]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3"]}


def test_a_reply_never_stands_before_what_it_answers() -> None:
    tree = [_tweet("1", None, "ann", 100), _tweet("2", "1", "shop", 50), _tweet("3", "2", "ann", 101)]
    assert _ids(split_tree(tree)) == {"1": ["1", "2", "3"]}


def test_replies_to_one_missing_tweet_stay_together() -> None:
    tree = [_tweet("2", "1", "ann"), _tweet("3", "1", "ann"), _tweet("4", "3", "shop")]
    assert _ids(split_tree(tree)) == {"2": ["2", "3", "4"]}


@st.composite
def _trees(draw: st.DrawFn) -> list[Tweet]:
    size = draw(st.integers(1, 15))
    tree = []
    for number in range(size):
        parent = str(draw(st.integers(0, number - 1))) if number else None
        author = draw(st.sampled_from(["shop", "shop", "ann", "bob", "eve"]))
        tree.append(_tweet(str(number), parent, author, float(draw(st.integers(0, 5)))))
    return list(draw(st.permutations(tree)))


@given(_trees())
def test_every_tweet_is_in_a_conversation_and_only_openings_are_in_several(tree: list[Tweet]) -> None:
    threads = split_tree(tree)
    counts = Counter(tweet.id for thread in threads for tweet in thread.tweets)
    assert set(counts) == {tweet.id for tweet in tree}
    replies = {tweet.parent for tweet in tree}
    assert all(tweet_id in replies for tweet_id, count in counts.items() if count > 1)
    assert len({thread.id for thread in threads}) == len(threads)


@given(_trees())
def test_a_parent_in_the_same_conversation_stands_before_its_reply(tree: list[Tweet]) -> None:
    for thread in split_tree(tree):
        places = {tweet.id: place for place, tweet in enumerate(thread.tweets)}
        assert all(
            places[t.parent] < place
            for t, place in zip(thread.tweets, places.values(), strict=True)
            if t.parent in places
        )


@given(_trees())
def test_the_company_answers_one_customer_a_conversation(tree: list[Tweet]) -> None:
    by_id = {tweet.id: tweet for tweet in tree}
    for thread in split_tree(tree):
        above = [by_id[tweet.parent] for tweet in thread.tweets if tweet.speaker == "agent" and tweet.parent]
        assert len({tweet.author for tweet in above if tweet.speaker == "user"}) <= 1


@given(_trees(), st.data())
def test_the_order_of_the_rows_does_not_matter(tree: list[Tweet], data: st.DataObject) -> None:
    assert split_tree(tree) == split_tree(data.draw(st.permutations(tree)))
