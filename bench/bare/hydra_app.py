"""A minimal Hydra app."""

import hydra


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg):
    print(cfg)


main()
