/**
 * What is checked before a start: the program, its folder, its secrets, and the service's own preflight
 * probes.
 */
import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { PreflightResult } from '../core/event.ts'
import { resolveProgram, servicePath } from './environment.ts'
import { expandHome, MissingSecret, type Secrets } from './secrets.ts'

const failed = (check: string, reason: string): PreflightResult => ({ check, outcome: 'fail', reason })

/** The checks that need no waiting; empty if all is well. */
export function checkBasics(spec: ServiceSpec, secrets: Secrets): PreflightResult[] {
  const results: PreflightResult[] = []
  let path = servicePath()
  try {
    const env = secrets.resolve(spec.env)
    path = env['PATH'] ?? path
  } catch (error) {
    if (!(error instanceof MissingSecret)) throw error
    results.push(failed('secrets', error.message))
  }
  if (spec.command === null && !spec.program) return results
  const program = resolveProgram(spec, path)
  if (program.kind === 'absent') return [{ check: 'program', outcome: 'absent', reason: program.reason }]
  if (program.kind === 'unusable') results.push(failed('program', program.reason))
  const folder = expandHome(spec.cwd ?? homedir())
  if (!isFolder(folder)) results.push(failed('cwd', `its working folder ${folder} does not exist`))
  return results
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
