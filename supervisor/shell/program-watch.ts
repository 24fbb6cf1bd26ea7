/**
 * Programs that change on disk while they run: an upgrade takes force with the next start only, and until then what
 * runs is not what is installed. Looked at is what the command runs, and nothing that it only reads.
 */
import { realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { ServiceSpec } from '../../schemas/service.ts'
import { resolveProgram, servicePath } from './environment.ts'
import { ranBy } from './script-operand.ts'
import { expandHome } from './secrets.ts'

type Stamps = ReadonlyMap<string, string>
/** What is to be found, worked out once for a declaration: its argv is not parsed again at each look. */
type Plan = {
  /** Each as a spec whose command is that program alone. */
  readonly called: readonly ServiceSpec[]
  readonly path: string
  readonly script: string | null
}
type Watched = { readonly plan: Plan; stamps: Stamps }
/** What one look has seen: a hundred services of one program cost as much as one. */
type Look = { readonly found: Map<string, string | null>; readonly stamps: Map<string, string | null> }

export type ProgramWatch = {
  /** From now on it counts as started with what is on disk now. */
  started(service: string, spec: ServiceSpec): void
  forget(service: string): void
  look(): void
}

/** `changed` is told once for each change, with the file. */
export function openProgramWatch(changed: (service: string, file: string) => void): ProgramWatch {
  const watched = new Map<string, Watched>()
  return {
    started(service, spec) {
      const plan = planOf(spec)
      watched.set(service, { plan, stamps: stampsOf(plan, newLook()) })
    },
    forget: (service) => void watched.delete(service),
    look() {
      const look = newLook()
      for (const [service, one] of watched) {
        const now = stampsOf(one.plan, look)
        const file = [...now].find(([path, stamp]) => one.stamps.get(path) !== stamp)?.[0]
        // In the middle of an upgrade a file is missing for a moment: then it is looked at again later.
        if (file === undefined || now.size < one.stamps.size) continue
        one.stamps = now
        changed(service, file)
      }
    },
  }
}

const newLook = (): Look => ({ found: new Map(), stamps: new Map() })

function planOf(spec: ServiceSpec): Plan {
  const [program = '', ...args] = spec.command ?? []
  const { programs, script, folder } = ranBy([program, ...args])
  const own = expandHome(spec.cwd ?? spec.env['HOME'] ?? homedir())
  const place = folder === null ? own : resolve(own, expandHome(folder))
  return {
    called: [spec, ...programs.map((word) => ({ ...spec, cwd: place, command: [word] }))],
    path: spec.env['PATH'] ?? servicePath(),
    script: script === null ? null : resolve(place, expandHome(script)),
  }
}

/** Identity, size and time of each file that a command runs, under the path by which it is called. */
function stampsOf({ called, path, script }: Plan, look: Look): Stamps {
  const files = called.flatMap((one) => {
    const key = `${one.command?.[0]}\0${one.cwd}\0${path}`
    const found = remembered(look.found, key, () => {
      const resolved = resolveProgram(one, path)
      return resolved.kind === 'found' ? resolved.path : null
    })
    return found === null ? [] : [found]
  })
  if (script !== null) files.push(script)
  return new Map(
    files.flatMap((file): [string, string][] => {
      const stamp = remembered(look.stamps, file, () => stampOf(file))
      return stamp === null ? [] : [[file, stamp]]
    }),
  )
}

function remembered(
  known: Map<string, string | null>,
  key: string,
  find: () => string | null,
): string | null {
  const there = known.get(key)
  if (there !== undefined) return there
  const value = find()
  known.set(key, value)
  return value
}

/** Null for what is no file, or is not there. */
function stampOf(path: string): string | null {
  try {
    const { dev, ino, size, mtimeNs, mode } = statSync(path, { bigint: true })
    const isFile = (mode & 0o170_000n) === 0o100_000n
    return isFile ? `${realpathSync(path)} ${dev} ${ino} ${size} ${mtimeNs}` : null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return null
  }
}
