/** A brain that is none: a program which a canary takes for Claude Code or Codex. */
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const FIXTURE = resolve(import.meta.dirname, '../fixtures/fake-brain.mjs')

/** Puts the program into the folder, to fail as `mode` says; resolves to its path. */
export function fakeBrain(folder: string, mode: string, version = '1.2.3'): string {
  const program = join(folder, 'brain')
  mkdirSync(join(folder, 'told'), { recursive: true })
  copyFileSync(FIXTURE, join(folder, 'brain.mjs'))
  const words = [process.execPath, join(folder, 'brain.mjs'), mode, version].map((word) => `'${word}'`)
  writeFileSync(program, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`)
  chmodSync(program, 0o755)
  return program
}
