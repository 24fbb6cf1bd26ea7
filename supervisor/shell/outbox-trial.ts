/**
 * The daily trial of a channel: a silent message that is deleted again. It shows that a message really passes, which no
 * question about token and chat does. What a crash leaves in the chat is deleted by the next supervisor.
 */
import type { Channel, Keep, Outcome } from './channel.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** So often in a row it is tried again soon where it may have passed all the same; then once an hour. */
const SOON_TRIES = 3

/** `left`: the message that is still to be deleted. `failures`: trials in a row that may have passed all the same. */
type Kept = { readonly dueWall: number; readonly left: string | null; readonly failures: number }

export type Trial = {
  /** Does what is due. Null: nothing was tried, so nothing is known. */
  run(signal: AbortSignal): Promise<Outcome | null>
  /** The last trial that was judged has failed, and nothing has passed since. */
  isFailed(): boolean
  /** Something has passed. */
  passed(): void
}

/** The trials of one channel; the first one is due a day after the channel was first seen. */
export function openTrial(
  { name, trial }: Pick<Channel, 'name' | 'trial'>,
  keep: Keep,
  wall: () => number,
): Trial {
  const key = `trial-${name}`
  let isFailed = false
  const read = () => (keep.get(key) ?? null) as Kept | null
  const write = (value: Kept) => keep.set({ key, value })

  async function retract(kept: Kept, signal: AbortSignal): Promise<Kept> {
    if (kept.left === null || !trial) return kept
    const { kind } = await trial.retract(kept.left, signal)
    if (kind !== 'sent' || signal.aborted) return kept
    const next = { ...kept, left: null }
    write(next)
    return next
  }
  return {
    isFailed: () => isFailed,
    passed() {
      isFailed = false
    },
    async run(signal) {
      if (!trial) return null
      const before = read()
      if (before === null) {
        write({ dueWall: wall() + DAY_MS, left: null, failures: 0 })
        return null
      }
      const kept = await retract(before, signal)
      if (signal.aborted || wall() < kept.dueWall) return null
      const outcome = await trial.send(signal)
      if (signal.aborted || outcome.kind === 'wait') return null
      isFailed = outcome.kind !== 'sent'
      if (outcome.kind === 'sent') {
        const sent = { dueWall: wall() + DAY_MS, left: outcome.remote, failures: 0 }
        write(sent)
        await retract(sent, signal)
      } else if (outcome.kind === 'failed') {
        const failures = kept.failures + 1
        write({ ...kept, failures, dueWall: failures < SOON_TRIES ? kept.dueWall : wall() + HOUR_MS })
      }
      return outcome
    },
  }
}
