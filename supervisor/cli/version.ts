/** `paios version`. */
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Command } from './command.ts'
import { ownVersion, versionGap } from './own-version.ts'

/** Says which paios this is, which Node runs it, and which supervisor answers. */
export const command: Command = {
  usage: 'version',
  about: 'Prints the version of this paios, of its Node, and of the supervisor that runs, if one does.',
  flags: {},
  operands: { min: 0, max: 0 },
  examples: [['paios version --json', 'for scripts']],
  run: async ({ entry, home, json, out }) => {
    const version = ownVersion(entry)
    const supervisor = await supervisorVersion(home)
    if (json) {
      out(`${JSON.stringify({ version, node: process.versions.node, supervisor })}\n`)
      return 0
    }
    out(`paios ${version}, Node ${process.versions.node}\n`)
    if (supervisor === null) out(`no supervisor is running for ${home}\n`)
    else out(`supervisor ${supervisor.version}, pid ${supervisor.pid}\n`)
    const gap = supervisor === null ? null : versionGap(version, supervisor.version)
    if (gap !== null) out(`${gap}\n`)
    return 0
  },
}

async function supervisorVersion(home: string): Promise<{ version: string; pid: number } | null> {
  try {
    return await call<{ version: string; pid: number }>(home, 'GET', '/version')
  } catch (error) {
    if (error instanceof PaiosError && error.code === 'no-supervisor') return null
    throw error
  }
}
