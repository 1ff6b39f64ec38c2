"""`python -m benchmarks.minutes --crops CSV`: minutes of an expert until an archive is named well enough.

The CSV is that of `benchmarks.identity`; a crop stands for a track, its session for the video. The goal (A, x): at
least A of the frames carry a name, a person's, a page's or the machine's from some chance on, of which at most x are
wrong.
For each seed and each policy one expert is replayed from nothing; answers cost what `acquisition.minutes.prices.Prices`
says, times --prices-times; the head is refitted every 20 answers; a fifth of the individuals enters after a tenth of
the tracks; frames of tracks are lognormal (--sigma; 0: all alike) or, where the CSV has the column `frames`
(`benchmarks.support.archive_crops`), those of the product's tracker.

Two ends. `ideal`: the truth is known, the clock stops at the answer that reaches the goal at the best threshold.
`promise`: when the machine's own estimate is .8 x, names are frozen and fresh draws, paid by the expert, are tested by
the product's bets; where that fails 40 more answers follow. Who is asked at random pays for draws as well.

Policies: see `policies.POLICIES`. `product` goes through `acquisition.plan.plan`. `oracle` is none: it sees which names
are wrong. `--shuffled` is the control: chances in random order.

`--kept N` measures, on N synthetic archives each, how often a promise is said that is not true, and the same of usual
ways that break it (`kept`). Each figure is printed beside its target.

Belongs here: policies, the replay, what it found. Does not belong here: prices, goals, tests (`acquisition.minutes`).
"""
