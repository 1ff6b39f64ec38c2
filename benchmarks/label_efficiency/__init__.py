"""`python -m benchmarks.label_efficiency --crops CSV`: how many labels asking the right tracks saves, by replay.

The CSV is that of `benchmarks.identity`; a crop stands for a track, its session (photo) for the video. For each seed
and each strategy one expert is replayed from zero labels to the budget:

* a quarter of the sessions is the future: never asked, named at the end of each round. The rest is the pool;
* a fifth of the individuals enters the pool in mid-run, as animals are born and immigrate;
* a share of every round's labels (--audit) is drawn at random from a reserve that teaches nobody: what measuring costs
  is paid from the budget, by every strategy alike;
* after each round a new head is fitted, the same recipe for all (ridge on indicators, classes balanced).

Regimes: `frozen`, vectors learned from the pool's pictures without any label: dictionaries of patches, what a network
sees that learned from ImageNet, as in the product's embedders (without it: --from-zero), and principal axes;
`product`, the same at first, and whenever labels have grown by half the discriminants of the patches are learned again
from all names so far, beside it, as `vision.metric_learning` does; with --views also its network (minutes each).

Reported for each strategy, with 95 % intervals of a bootstrap over seeds, which are the same for all strategies:

* ratio: labels to reach what random tracks reach with the whole budget, over the budget (means over seeds, running
  maximum, as LabelBench reports it); ratio_macro: the same for the mean over individuals; inf: never;
* pool and macro: accuracy over the pool with the whole budget, labelled tracks as they were named; future: of the
  future sessions; area: mean of pool over the budget; found: individuals named after half of the budget;
* seconds: of CPU for choosing, a round.

`--strategies oracle` is no strategy: it sees which tracks are named wrongly, and asks those first. No upper bound: it
is greedy, and to cover who is new can be better than to correct who is wrong.

Controls: --noise P (of the answers are wrong), --duplicates P (of the pool comes twice), --shuffled (margins in random
order: must be as good as random). Ends with one line of JSON; --plot FILE draws the curves.

Belongs here: strategies, the replay, its curves and their summary. Challengers are here because the product does not
use them. Does not belong here: the selectors (`acquisition`).
"""
