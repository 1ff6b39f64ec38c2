// One network for everything. Clusters go out through one address; nothing from outside comes in but the ingress of AKS.
param name string
param location string
param tags object

@description('Address space of the network, and of its three subnets: AKS, machines of Azure ML, private endpoints.')
param addressPrefix string
param clustersPrefix string
param machinesPrefix string
param endpointsPrefix string

@description('Names of the private DNS zones that private endpoints need.')
param zoneNames array

resource address 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: '${name}-out'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIPAllocationMethod: 'Static'
  }
}

resource out 'Microsoft.Network/natGateways@2024-05-01' = {
  name: '${name}-out'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    idleTimeoutInMinutes: 10
    publicIpAddresses: [
      {
        id: address.id
      }
    ]
  }
}

resource clusterRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: '${name}-clusters'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'web'
        properties: {
          description: 'The ingress of AKS, https only.'
          priority: 200
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '443'
        }
      }
    ]
  }
}

resource closedRules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: '${name}-closed'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nobody-from-outside'
        properties: {
          priority: 200
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'clusters'
        properties: {
          addressPrefix: clustersPrefix
          natGateway: {
            id: out.id
          }
          networkSecurityGroup: {
            id: clusterRules.id
          }
        }
      }
      {
        name: 'machines'
        properties: {
          addressPrefix: machinesPrefix
          natGateway: {
            id: out.id
          }
          networkSecurityGroup: {
            id: closedRules.id
          }
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          networkSecurityGroup: {
            id: closedRules.id
          }
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for zone in zoneNames: {
  name: zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (zone, i) in zoneNames: {
  parent: zones[i]
  name: name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}]

output clustersSubnetId string = '${network.id}/subnets/clusters'
output machinesSubnetId string = '${network.id}/subnets/machines'
output endpointsSubnetId string = '${network.id}/subnets/endpoints'
