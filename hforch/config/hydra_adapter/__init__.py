"""All that hforch uses of Hydra's and OmegaConf's private parts; no other module imports or patches them.

`tests/config/test_hydra_contract.py` names each of these parts, with the reason for it, and says how it behaves: a new
version of Hydra fails there first.
"""
