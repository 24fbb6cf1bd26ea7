/** THE table of faults: every group. Lanes run side by side, the groups of one after the other. */
import { disk } from './disk.ts'
import { document } from './document.ts'
import type { Group } from './fault.ts'
import { gateway } from './gateway.ts'
import { groups } from './groups.ts'
import { mcp } from './mcp.ts'
import { programs } from './programs.ts'
import { claude, codex } from './sessions.ts'
import { supervisor } from './supervisor.ts'
import { syncthing } from './syncthing.ts'

/** Most of the time is spent waiting: for a start to be settled, for a warning to be told, for the gateway to be up. */
export const lanes: readonly (readonly Group[])[] = [
  [programs, groups, disk],
  [document, supervisor],
  [mcp, syncthing],
  [claude, codex],
  [gateway],
]
