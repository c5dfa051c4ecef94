from ._rbm import RBMTransformer
