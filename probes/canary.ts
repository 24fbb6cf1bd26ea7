/**
 * The canary of a brain: a short-lived instance in a scratch home, so that it can neither read nor renew nor spend
 * a login. It proves that the program starts and speaks its protocol; that its login works it does not prove.
 */
import { type Dialogue, DialogueFault, openDialogue, type Protocol } from './dialogue.ts'
import { lastLine } from './excerpt.ts'
import {
  type Conversation,
  type ConverseOptions,
  fail,
  type OpenProbe,
  type ProbeResult,
  type ProbeTarget,
  pass,
} from './probe.ts'
import { openScratch, type Scratch, scratchEnvironment, sweepScratch } from './scratch.ts'

/** The key of the target's memory that holds the version which was last seen. */
const VERSION = 'version'

/** What a canary's conversation needs; `step` runs one step and tells its time. */
export type Talk = Dialogue & {
  step<T>(name: string, run: () => Promise<T>, detail?: (value: T) => string): Promise<T>
}

/** The program of a canary and how it is spoken to. */
export type Canary = {
  readonly program: string
  readonly args: readonly string[]
  readonly protocol: Protocol
  /** Added to the environment of the scratch home. */
  readonly env: (home: string) => Readonly<Record<string, string | null>>
  /** Puts into the scratch home what the program needs, never a login. */
  readonly prepare?: (home: string) => Promise<void>
  /** Turns what the program wrote to stderr into one line. */
  readonly explain?: (stderr: string) => string
  /** Throws DialogueFault with what is wrong. */
  readonly talk: (talk: Talk) => Promise<void>
}

/** Opens a probe that runs the canary at each check. `name` begins its reasons. */
export async function openCanary(target: ProbeTarget, name: string, canary: Canary): Promise<OpenProbe> {
  await sweepScratch(target)
  let cleaning: Promise<void> = Promise.resolve()
  const clean = (conversation: Conversation | null, scratch: Scratch) => {
    cleaning = finish(conversation, scratch).catch((error: Error) =>
      target.tell('scratch-left', `${name}: what its canary left could not be removed: ${error.message}`),
    )
  }
  return {
    async check(signal) {
      await cleaning
      const scratch = await openScratch(target)
      let conversation: Conversation | null = null
      let begun = performance.now()
      const took = (step: string, detail?: string) => {
        target.step(step, performance.now() - begun, detail)
        begun = performance.now()
      }
      try {
        await canary.prepare?.(scratch.path)
        const { path: cwd } = scratch
        const env = { ...scratchEnvironment(cwd), ...canary.env(cwd) }
        begun = performance.now()
        const version = await versionOf(target, canary.program, { env, cwd, signal })
        took('version', version)
        conversation = await target.converse([canary.program, ...canary.args], { env, cwd, signal })
        took('start')
        const dialogue = openDialogue(conversation, canary.protocol, signal, canary.explain)
        await canary.talk({
          ...dialogue,
          async step(step, run, detail) {
            const value = await run()
            took(step, detail?.(value))
            return value
          },
        })
        noteVersion(target, version)
        return pass(`${version}; handshake ok; login not checked`)
      } catch (error) {
        return failureOf(error, name, signal)
      } finally {
        clean(conversation, scratch)
        // The time is over, and the answer must not wait for a program that does not end.
        if (!signal.aborted) {
          await cleaning
          took('close')
        }
      }
    },
    close: () => cleaning,
  }
}

async function finish(conversation: Conversation | null, scratch: Scratch): Promise<void> {
  try {
    await conversation?.close()
  } finally {
    await scratch.remove()
  }
}

function failureOf(error: unknown, name: string, signal: AbortSignal): ProbeResult {
  if (error instanceof DialogueFault) return fail(`${name}: ${error.message}`)
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return fail(`${name} is not there any more`)
  if (code === 'EACCES' || code === 'ENOEXEC') return fail(`${name} cannot be started: ${code}`)
  if (signal.aborted) return fail(`${name}: did not start in time`)
  throw error
}

/** What the program says of its version, such as 2.1.197. */
async function versionOf(target: ProbeTarget, program: string, options: ConverseOptions): Promise<string> {
  const { code, signal, stdout, stderr } = await target.run([program, '--version'], options)
  if (options.signal.aborted) throw new DialogueFault('--version: no answer in time')
  const how = code === null ? `was ended by ${signal}` : `exited with code ${code}`
  if (code !== 0) throw new DialogueFault(`--version ${how}: ${lastLine(stderr)}`)
  const version = /\d+\.\d+\.\d+[\w.+-]*/.exec(stdout)?.[0]
  if (version === undefined) throw new DialogueFault('--version prints no version')
  return version
}

/** Remembers the version, and tells a change of it. */
function noteVersion({ memory, tell }: ProbeTarget, version: string): void {
  const before = memory.get(VERSION)
  if (before === version) return
  memory.set(VERSION, version)
  if (typeof before === 'string') tell('version-changed', `${before} -> ${version}`)
}
