"""The pilot: takes tasks from a request to what they are to end in, and survives its own end at any point.

pilot = Pilot(tasks, World(folder, complete, policy, runner, forge, token, deployers))
task = await pilot.run(lease)                          # to its goal, or aside
diff_of(task)                                          # its change, as a unified diff
"""

from zoran_ray.autopilot.pilot.part import Part, diff_of, parts_of
from zoran_ray.autopilot.pilot.pilot import STAGES, Pilot
from zoran_ray.autopilot.pilot.world import FixMemory, PilotSettings, World

__all__ = ["STAGES", "FixMemory", "Part", "Pilot", "PilotSettings", "World", "diff_of", "parts_of"]
