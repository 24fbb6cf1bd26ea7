/** What is going to happen, in order of time; among equals, in the order it was put in. */
export type Job = { readonly at: number; readonly order: number; readonly run: () => void }

const isBefore = (a: Job, b: Job) => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A binary heap of jobs. */
export class Queue {
  readonly #heap: Job[] = []
  #order = 0

  /** When the next job is due; Infinity if there is none. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** Puts a job in. */
  push(at: number, run: () => void): void {
    const heap = this.#heap
    const job = { at, order: this.#order++, run }
    let i = heap.push(job) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = heap[up] as Job
      if (!isBefore(job, parent)) break
      heap[i] = parent
      i = up
    }
    heap[i] = job
  }

  /** Takes the next job out; undefined if there is none. */
  pop(): Job | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Job, heap[child] as Job)) child++
      if (!isBefore(heap[child] as Job, last)) break
      heap[i] = heap[child] as Job
      i = child
    }
    heap[i] = last
    return first
  }
}
