/** A Python program that stays in the foreground: its interpreter, its output and its usual faults are known. */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import { commonFields, type ServiceSpecInput } from '../schemas/service.ts'
import { beats } from './heartbeat.ts'
import { absolute, homePath, portFree, portNumber } from './listening.ts'
import { pythonExits } from './python-exits.ts'

type Probes = NonNullable<ServiceSpecInput['probes']>

const settings = {
  /** A file to run; relative to `cwd`, or one of script and module. */
  script: z.string().min(1).optional(),
  /** A module to run, as in `python -m`. */
  module: z
    .string()
    .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/, 'is not the name of a Python module')
    .optional(),
  args: z.array(z.string()).default([]),
  /** The interpreter where there is no venv; a name is looked up in PATH. */
  python: z.string().min(1).default('python3'),
  /** A virtual environment: its bin/python is run. */
  venv: homePath.optional(),
  /** A loopback port that it opens: it is ready when that takes a connection. */
  port: portNumber.optional(),
  /** It touches the file that PAIOS_HEARTBEAT names at least this often; a silence longer than that restarts it. */
  heartbeat: commonFields.startTimeout.unwrap().optional(),
}

function probes(port: number | undefined, heartbeat: number | undefined): Probes {
  const tcp = { kind: 'tcp', port: port ?? 1 } as const
  return [
    ...(port === undefined
      ? []
      : [
          portFree(port),
          { ...tcp, name: 'startup', role: 'startup', every: '1s' } as const,
          { ...tcp, name: 'listening', role: 'readiness', every: '10s' } as const,
        ]),
    ...beats(heartbeat),
  ]
}

/** A script or module under the right interpreter. */
export const pythonService = defineService({
  id: 'python-service',
  summary: 'A Python script or module: venv, unbuffered output, missing modules told by name',
  settings,
  spec: ({ script, module, args, python, venv, port, heartbeat }, { home }) => {
    if ((script === undefined) === (module === undefined))
      throw new Error('needs either `script` or `module`')
    const what = script === undefined ? ['-m', module ?? ''] : [script]
    const folder = venv === undefined ? null : absolute(venv, home).replace(/\/$/, '')
    return {
      kind: 'daemon',
      command: [folder === null ? python : `${folder}/bin/python`, ...what, ...args],
      // Without it the lines of a print stay in a buffer of 8 KiB, and are lost with a kill.
      env: { PYTHONUNBUFFERED: '1', ...(folder === null ? {} : { VIRTUAL_ENV: folder }) },
      probes: probes(port, heartbeat),
      exits: pythonExits,
      install: folder === null ? `${python} from the packages of your system` : `python3 -m venv ${folder}`,
      ports: port === undefined ? [] : [port],
      runbook: 'python-service.md',
    }
  },
})
