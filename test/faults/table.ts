/** THE table of faults: every group. Lanes run side by side, the groups of one after the other. */
import type { Group } from './fault.ts'
import { programs } from './programs.ts'

/** The slow starts of the gateway are one lane, everything else is the other. */
export const lanes: readonly (readonly Group[])[] = [[programs]]
