/** Faults of the mesh document, of edits of it, and of what an operator asks for. */

import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Declared, type Ended, fixture } from '../e2e/mesh.ts'
import { SLEEPER, writeDocument } from '../e2e/run-cli.ts'
import { ANSWERED, type Fault, fresh, kept, type Stage } from './fault.ts'
import { openListener } from './listener.ts'
import { openStage, paios, script, up } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type DocumentStage = Stage & {
  at(name: string): string
  /** Writes the document with some services declared otherwise. */
  edit(services?: Readonly<Record<string, Declared>>, more?: Readonly<Record<string, unknown>>): void
}
type Row = Fault<DocumentStage>

async function openDocument(): Promise<DocumentStage> {
  const bare = await openStage((mesh) => mesh.write({}))
  const { mesh, phone } = bare
  const at = (name: string) => join(mesh.home, name)
  const usual = {
    one: { command: SLEEPER },
    two: { command: SLEEPER, needs: ['one'] },
    server: { command: [script(at('server'))] },
  }
  const stage = {
    ...bare,
    at,
    edit: (services: Readonly<Record<string, Declared>> = {}, more: Readonly<Record<string, unknown>> = {}) =>
      mesh.write({ ...usual, ...services }, { ...phone.fields, ...more }),
  }
  stage.edit()
  await up(stage)
  return stage
}

const applied = {
  what: 'the document is in force as it is',
  holds: async ({ mesh }: DocumentStage) => {
    const { document, warnings, services } = await mesh.status()
    return document.problem === null && warnings.length === 0 && services.every(({ ready }) => ready)
  },
}
const editAnd = (services: Readonly<Record<string, Declared>>) => async (stage: DocumentStage) => {
  stage.edit(services)
  return stage.mesh.cli(['up'])
}
const mend = editAnd({})
const write =
  (text: string, ...words: string[]) =>
  async (stage: DocumentStage): Promise<Ended | undefined> => {
    writeDocument(stage.mesh, text)
    return words.length > 0 ? stage.mesh.cli(words) : undefined
  }
const CORRECT = 'correct what is named, then `paios up`'

const refused: Row[] = [
  {
    name: 'cycle of needs',
    program: 'paios up',
    made: 'the document is edited so that `one` and `two` need each other',
    sign: { code: 3, text: /needs form a cycle: (one → two → one|two → one → two)/ },
    heard: ANSWERED,
    person: CORRECT,
    touches: [],
    make: editAnd({ one: { command: SLEEPER, needs: ['two'] } }),
    mend,
    well: applied,
    quick: true,
  },
  {
    name: 'mistyped key',
    program: 'paios up',
    made: '`comand` in place of `command`',
    sign: { code: 3, text: /services\.one\.comand: unknown key `comand` \(did you mean `command`\?\)/ },
    heard: ANSWERED,
    person: CORRECT,
    touches: [],
    make: write(
      'version: 1\nmetrics: { enabled: false }\nservices:\n  one: { comand: [sleep, "9"] }\n',
      'up',
    ),
    mend,
    well: applied,
  },
  {
    name: 'document cut off in its middle',
    program: 'paios up',
    made: 'half of the file is gone',
    sign: { code: 3, text: /paios\.yaml:\d+:\d+/ },
    heard: ANSWERED,
    person: CORRECT,
    touches: [],
    make: write('{ "version": 1, "services": { "one": { "comm', 'up'),
    mend,
    well: applied,
  },
  {
    name: 'edit that nobody applied',
    program: 'the supervisor',
    made: 'the document is broken by hand; no command is run',
    sign: { mesh: /^paios\.yaml changed at .* UTC, not applied: \d errors? \(line \d/ },
    heard: { rule: 'DocumentInvalid', about: 'supervisor' },
    person: CORRECT,
    touches: [],
    make: write('{ "version": 1, "services": { "one": { "comm'),
    mend,
    well: applied,
    quick: true,
  },
  {
    name: 'stop of what others need',
    program: 'paios stop',
    made: '`paios stop one` while `two` needs it',
    sign: { code: 5, text: /needed by two.*--with-dependents/ },
    heard: ANSWERED,
    person: null,
    touches: [],
    make: paios('stop one'),
    well: kept('one', 'two'),
  },
  {
    name: 'restart of what could not start again',
    program: 'paios restart',
    made: 'the program of a service that runs is moved away, then `paios restart`',
    sign: { code: 5, text: /keeps running: server: \S+server does not exist/ },
    heard: ANSWERED,
    person: 'put the program back',
    touches: [],
    make: async (stage) => {
      renameSync(stage.at('server'), stage.at('server.away'))
      return stage.mesh.cli(['restart', 'server'])
    },
    mend: async ({ at }) => renameSync(at('server.away'), at('server')),
    well: kept('server'),
  },
]

const edits: Row[] = [
  {
    name: 'edit that does not work',
    program: 'sh, sleep',
    made: 'the new command ends at once with exit code 1; `paios up`',
    sign: {
      service: 'one',
      state: 'running',
      text: /^runs by the declaration before: the new one was not taken \(exit code 1/,
    },
    heard: { rule: 'ServiceCrashLooping', about: 'one' },
    person: 'correct the document, then `paios up`; the old declaration runs meanwhile',
    touches: ['one'],
    // Only a declaration that was stable is gone back to.
    prepare: ({ mesh }) =>
      mesh.untilService('one', 'is stable', ({ since }) => Date.now() - Date.parse(since) > 10_500),
    make: editAnd({ one: { command: fixture('exit-at-once.sh', '1') } }),
    mend,
    well: fresh('one'),
  },
  {
    name: 'edit that names a program which is not there',
    program: 'paios up',
    made: 'the new command is /no/such/program; `paios up`',
    sign: { code: 1, text: /^not taken: one: \/no\/such\/program does not exist$/m },
    heard: ANSWERED,
    person: CORRECT,
    touches: [],
    make: editAnd({ one: { command: ['/no/such/program'] } }),
    mend,
    well: kept('one'),
    quick: true,
  },
  {
    name: 'program that was never installed',
    program: 'a script',
    made: 'a service is added whose program is not there; `paios up`',
    sign: { service: 'added', state: 'absent', text: /added-program does not exist/ },
    heard: ANSWERED,
    person: 'install it, then `paios start`',
    touches: [],
    make: async (stage) => {
      stage.edit({ added: { command: [stage.at('added-program')] } })
      return stage.mesh.cli(['up'])
    },
    mend: (stage) => {
      script(stage.at('added-program'))
      return stage.mesh.cli(['start', 'added'])
    },
    well: fresh('added'),
    clear: mend,
  },
  {
    name: 'program upgraded on disk',
    program: 'a script',
    made: 'its file is replaced while it runs, as a package manager does it',
    sign: { service: 'server', state: 'running', text: /server has changed on disk since it was started/ },
    heard: { nobody: 'nothing is wrong yet; it stands in `paios status`' },
    person: '`paios restart` (or `restartOn: binary` in the document)',
    touches: ['server'],
    make: async ({ at }) => {
      script(at('server.new'))
      renameSync(at('server.new'), at('server'))
      return undefined
    },
    mend: paios('restart server'),
    well: fresh('server'),
  },
  {
    name: 'port of the metrics held by a stranger',
    program: 'the supervisor',
    made: 'the document asks for metrics on a port on which another program listens',
    sign: { mesh: /^metrics are not served: port \d+ is in use; choose another/ },
    heard: { nobody: 'Prometheus misses its target; it stands in `paios status`' },
    person: CORRECT,
    touches: [],
    make: async (stage) => {
      stranger = await openListener()
      stage.edit({}, { metrics: { enabled: true, port: stranger.port } })
      return stage.mesh.cli(['up'])
    },
    mend,
    well: applied,
    clear: async () => stranger?.end(),
  },
]
let stranger: Awaited<ReturnType<typeof openListener>> | undefined

/** The document of one mesh, and edits of it. */
export const document = defineGroup('document', 'Document and operator', openDocument, [...refused, ...edits])
