/** Words for random names: a mood or manner, and the surname of somebody who built, measured, sailed or lifted. */

export const adjectives = (
  "able agile airy amber ample ardent astute awake balmy bold brave breezy bright brisk calm candid careful cheery " +
  "civil clear clever cosy crisp curious daring deft devoted droll eager early earnest easy elated fair fearless " +
  "festive fleet fluent fond frank free fresh frugal gallant gentle glad gleaming golden graceful grand hardy hasty " +
  "hearty honest hopeful humble ideal jaunty jolly jovial joyful keen kind lively loyal lucid lucky mellow merry " +
  "mighty mild modest neat nimble noble open orderly patient peaceful placid playful plucky polite proud prudent " +
  "quick quiet ready robust rosy sage serene sharp silent silver sincere smart smooth snug sober solid spry stable " +
  "steady sturdy subtle sunny swift tactful tender tidy trusty upbeat valiant vivid warm wary wise witty zesty"
).split(" ");

export const surnames = (
  "adams ampere anning archimedes armstrong babbage bardeen bell bernoulli bessemer bohr boole borlaug boyle brahe " +
  "brunel cantor carnot carson cavendish chandra clarke coulomb cray curie darwin davinci deforest diesel dijkstra " +
  "dirac doppler earhart edison eiffel einstein elion engelbart erdos euclid euler faraday fermat fermi feynman " +
  "fourier franklin fuller galileo gauss germain godel goodall goethals hadid hahn hamilton harrison hawking heaviside " +
  "heisenberg hertz hilbert hodgkin hooke hopper hubble huygens hypatia jacquard jansky joule kepler khayyam knuth " +
  "kovalevsky lamarr lamport laplace leavitt leibniz lovelace magellan marconi maxwell mead meitner mendel mercator " +
  "montgolfier morse napier nansen newton nobel noether ohm oppenheim otis pascal pasteur pauling perlman planck " +
  "poincare ptolemy pythagoras ramanujan ride ritchie roebling rontgen rutherford sagan shannon sinclair somerville " +
  "stephenson swan telford tesla thales thompson torvalds tsiolkovsky turing vaucanson villard volta watt wegener " +
  "whitworth wiles wilkes wren wright yalow zeppelin zuse"
).split(" ");
