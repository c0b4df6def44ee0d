"""Named joint sets: order, flip pairs, edges, and maps between them by joint name."""

from pgtfast.skeletons._maps import MappedJoints, map_joints
from pgtfast.skeletons._sets import NAMES, get
from pgtfast.skeletons._skeleton import Skeleton, joint_key

__all__ = ["NAMES", "MappedJoints", "Skeleton", "get", "joint_key", "map_joints"]
