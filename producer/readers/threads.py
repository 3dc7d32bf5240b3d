"""A tree of tweets that answer one another, taken apart into support conversations. Pure.

A support conversation is one customer's thread with the company. A tree mostly is one, but others may join it: some
get answers of their own, some only remark, and under an announcement a whole crowd replies.

- A *customer* is whom the company answers somewhere in the tree. A customer's tweets belong to the customer.
- Any other tweet (the company's, a bystander's) belongs to whom the tweet above it belongs to.
- What stands above the first customer, such as an announcement, belongs to nobody: it opens the conversation of each
  customer below it, the nearest `MAX_OPENING_TWEETS` of it. Replies to it that were never answered stay together in
  one conversation.
- Inside a conversation the tweets stand in time order, a reply never before what it answers; ties by depth, then id.
- Its id is that of its first tweet that no other conversation has: the root's, if the tree is one conversation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from aftercall.conversation import Speaker

#: How many tweets above a customer's first one open the conversation: those next to it. Thousands of announcements that
#: answer one another would otherwise stand in the conversation of each of thousands of customers.
MAX_OPENING_TWEETS = 50


@dataclass(frozen=True, slots=True)
class Tweet:
    """What the tree is made of."""

    line: int
    id: str
    #: The id of the tweet that this one answers; it may be missing from the tree.
    parent: str | None
    author: str
    speaker: Speaker
    #: Seconds since 1970, or None if it could not be read.
    time: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation of a tree."""

    id: str
    #: The first line of the tweets that no other conversation has.
    line: int
    tweets: tuple[Tweet, ...]


def split_tree(tree: Sequence[Tweet]) -> list[Thread]:
    """The conversations of one tree, in the order in which they first appear. The chains of replies have no cycle."""
    ordered = _in_time(tree)
    owners = _find_owners(ordered)
    groups = _gather(ordered, owners)
    num_groups = Counter(tweet.id for group in groups for tweet in group)
    threads = []
    for group in groups:
        own = [tweet for tweet in group if num_groups[tweet.id] == 1]
        threads.append(Thread(own[0].id, min(tweet.line for tweet in own), tuple(group)))
    return sorted(threads, key=lambda thread: thread.line)


def _in_time(tree: Sequence[Tweet]) -> list[Tweet]:
    """By time, but never before what it answers: where the time is missing or too early, the parent's counts."""
    keys: dict[str, tuple[float, int, int, str]] = {}
    for tweet, parent in _downward(tree):
        time, depth = (keys[parent.id][0], keys[parent.id][1] + 1) if parent else (0.0, 0)
        keys[tweet.id] = (max(time, tweet.time or 0.0), depth, len(tweet.id), tweet.id)
    return sorted(tree, key=lambda tweet: keys[tweet.id])


def _downward(tree: Iterable[Tweet]) -> Iterator[tuple[Tweet, Tweet | None]]:
    """Every tweet with its parent, parents first."""
    by_id = {tweet.id: tweet for tweet in tree}
    replies: dict[str, list[Tweet]] = defaultdict(list)
    level: list[tuple[Tweet, Tweet | None]] = []
    for tweet in by_id.values():
        if tweet.parent in by_id:
            replies[tweet.parent].append(tweet)
        else:
            level.append((tweet, None))
    while level:
        yield from level
        level = [(reply, tweet) for tweet, _ in level for reply in replies[tweet.id]]


def _find_owners(ordered: Sequence[Tweet]) -> dict[str, str]:
    """Tweet to the customer it belongs to; what belongs to nobody is not in it."""
    answered = _find_answered(ordered)
    owners: dict[str, str] = {}
    for tweet in ordered:
        if tweet.speaker == "user" and tweet.author in answered:
            owners[tweet.id] = tweet.author
        elif tweet.parent in owners:
            owners[tweet.id] = owners[tweet.parent]
    return owners


def _find_answered(ordered: Sequence[Tweet]) -> set[str]:
    """The authors whom the company answers; a company's tweet under its own answers the same author."""
    asking: dict[str, str] = {}
    answered = set()
    for tweet in ordered:
        if tweet.speaker == "user":
            asking[tweet.id] = tweet.author
        elif tweet.parent in asking:
            asking[tweet.id] = asking[tweet.parent]
            answered.add(asking[tweet.id])
    return answered


def _gather(ordered: Sequence[Tweet], owners: Mapping[str, str]) -> list[list[Tweet]]:
    """One group a customer, with what stands above it, and one for the replies that nobody answered."""
    unowned = {tweet.id: tweet for tweet in ordered if tweet.id not in owners}
    groups: dict[str, set[str]] = defaultdict(set)
    for tweet in ordered:
        if tweet.id in owners:
            group = groups[owners[tweet.id]]
            group.add(tweet.id)
            group.update(_above(tweet, unowned, group))
    unanswered = unowned.keys() - set().union(*groups.values())
    openings = [_above(unowned[tweet_id], unowned, unanswered) for tweet_id in unanswered]
    sets = [*groups.values(), unanswered.union(*openings)] if unanswered else groups.values()
    places = {tweet.id: place for place, tweet in enumerate(ordered)}
    return [[ordered[place] for place in sorted(places[tweet_id] for tweet_id in group)] for group in sets]


def _above(tweet: Tweet, unowned: Mapping[str, Tweet], known: Set[str]) -> set[str]:
    """The nearest tweets above this one, up to the first that is somebody's or known."""
    above: set[str] = set()
    parent = tweet.parent
    while parent is not None and parent in unowned and parent not in known and len(above) < MAX_OPENING_TWEETS:
        above.add(parent)
        parent = unowned[parent].parent
    return above
