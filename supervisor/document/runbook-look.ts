/**
 * A program: looks which runbook has steps for a fault, and ends. What reads runbooks (Zod, YAML) takes 15 MiB, which
 * a supervisor would keep for weeks after its first fault.
 */
import { readFileSync } from 'node:fs'
import { chooseRunbook, type Wanted } from './runbook.ts'

/** What it reads from its stdin as JSON; it answers with the runbook, or null. */
export type RunbookQuestion = { readonly home: string; readonly wanted: Wanted }

const { home, wanted } = JSON.parse(readFileSync(0, 'utf8')) as RunbookQuestion
process.stdout.write(JSON.stringify(chooseRunbook(home, wanted)))
