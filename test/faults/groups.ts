/** Faults in groups: whom a failure takes along, and a budget that all share. */
import { SLEEPER } from '../e2e/run-cli.ts'
import { type Fault, fresh, type Stage } from './fault.ts'
import { openStage, signal, up } from './program-stage.ts'
import { defineGroup } from './runner.ts'

async function openGroups(): Promise<Stage> {
  const member = (group: string, more: object = {}) => ({ command: SLEEPER, group, ...more })
  const services = {
    bystander: { command: SLEEPER },
    a1: member('all'),
    a2: member('all', { needs: ['a1'] }),
    a3: member('all'),
    r1: member('rest'),
    r2: member('rest'),
    r3: member('rest'),
    s1: member('shared'),
    s2: member('shared'),
  }
  const groups = {
    all: { strategy: 'one_for_all' },
    rest: { strategy: 'rest_for_one' },
    shared: { intensity: { max: 1, within: '10m' } },
  }
  const stage = await openStage((mesh) => mesh.write(services, { groups }))
  await up(stage)
  return stage
}

const rows: Fault<Stage>[] = [
  {
    name: 'death of one for all',
    program: 'sleep',
    made: 'kill -9 of one of three services of a `one_for_all` group',
    sign: { subject: 'a3', event: 'stopping', text: /a sibling is restarted/ },
    person: null,
    heard: { rule: 'ServiceCrashed', about: 'a1' },
    touches: ['a1', 'a2', 'a3'],
    make: (stage) => signal(stage, 'a1'),
    well: fresh('a1', 'a2', 'a3'),
    quick: true,
  },
  {
    name: 'death of one with others after it',
    program: 'sleep',
    made: 'kill -9 of the second of three services of a `rest_for_one` group',
    sign: { subject: 'r3', event: 'stopping', text: /a sibling is restarted/ },
    person: null,
    heard: { rule: 'ServiceCrashed', about: 'r2' },
    touches: ['r2', 'r3'],
    make: (stage) => signal(stage, 'r2'),
    well: fresh('r2', 'r3'),
  },
  {
    name: 'shared budget used up',
    program: 'sleep',
    made: 'kill -9 of both services of a group; one failure in 10 min is allowed',
    sign: { service: 's1', state: 'failed', text: /^group shared gave up: more than 1 failures in 10 min/ },
    person: 'mend it, then `paios start` (else it is tried again after 15 min)',
    heard: { rule: 'ServiceGaveUp', about: 's1' },
    touches: ['s1', 's2'],
    make: async (stage) => {
      const { pid: old } = await stage.mesh.service('s1')
      await signal(stage, 's1')
      await stage.mesh.untilService('s1', 'is new', ({ ready, pid }) => ready && pid !== old)
      return signal(stage, 's2')
    },
    mend: (stage) => stage.mesh.cli(['start', 's1']),
    well: fresh('s1', 's2'),
    quick: true,
  },
]

/** Groups of services that fail together. */
export const groups = defineGroup('groups', 'Groups', openGroups, rows)
