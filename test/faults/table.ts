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

/** The slow starts of the gateway are one lane, everything else is the other. */
export const lanes: readonly (readonly Group[])[] = [
  [programs, document, groups, supervisor, disk, mcp, claude, codex, syncthing],
  [gateway],
]
