"""The generators of the benchmarks on MNIST, trained without labels and cached."""

from _data import RESULTS

from sklearn_dbn import DBMTransformer, DBNTransformer, RBMTransformer

DBN, DBM = "DBN 500-500-2000", "DBM 500-1000"
SPARSE, SPARSE_DBM = f"sparse {DBN}", f"sparse {DBM}"


def generator(name, seed=0, small=False, random=False):
    """One of the four, to be fitted on grey levels; with random weights if ``random``."""
    n_iter = 0 if random else 2 if small else 30

    def rbm(learning_rate, n_iter=n_iter, **more):
        settings = {"weight_decay": 2e-4, "batch_size": 100, "n_iter": n_iter}
        settings |= {"sparsity_target": None, **more}
        return RBMTransformer(learning_rate=learning_rate, **settings)

    kept = {"memory": str(RESULTS / "cache"), "random_state": seed}
    if name in (DBN, SPARSE):
        sizes = (32, 32, 64) if small else (500, 500, 2000)
        upper = rbm(0.1) if name == DBN else rbm(0.3, sparsity_target=0.1)
        return DBNTransformer(sizes, rbm=[rbm(0.3), upper, upper], **kept)
    sparse = {"sparsity_target": 0.1} if name == SPARSE_DBM else {}
    return DBMTransformer(
        (32, 64) if small else (500, 1000),
        rbm=rbm(0.03, 2 * n_iter // 3, **sparse),
        n_mean_field_steps=3,
        pretrain=None if random else "doubled",
        pretrain_rbm=None if random else rbm(0.1 if sparse else 0.05, **sparse),
        **kept,
    )
